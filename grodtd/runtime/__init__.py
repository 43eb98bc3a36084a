"""Where waiting happens: the engine's facts come in and its intentions go out here."""
