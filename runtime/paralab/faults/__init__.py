"""The fault switch, off by default: what happens if messages do not arrive.

``rules`` says what can be asked for, ``connection`` does it to the frames, and ``reconnecting``
makes a session of connections that get over it.  All of this is loaded by who turns the switch on,
and nobody else pays for it.
"""
