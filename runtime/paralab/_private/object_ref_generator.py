"""Where Ray has the generators that programs print and test with ``isinstance``."""

from paralab.object_ref_generator import DynamicObjectRefGenerator, ObjectRefGenerator

__all__ = ["DynamicObjectRefGenerator", "ObjectRefGenerator"]
