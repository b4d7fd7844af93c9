"""The older place of :mod:`paralab.util.state`."""
