"""Pure decisions, one machine or formula a file: facts in, intentions out."""
