"""The images that the sandbox's VPS runs, made on this machine: real ones of what package registries have, stand-ins of the
rest. ``build`` puts them into the registry beside the VPS.
"""

from smos.sandbox.images.builder import ImagesError, build

__all__ = ["ImagesError", "build"]
