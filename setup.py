"""Installs `mrcnn`."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="mrcnn",
    version="0.1.0",
    description="Mask R-CNN for Keras 3: every object in a picture, its class, its box, its pixels",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=find_packages(include=["mrcnn", "mrcnn.*"]),
    python_requires=">=3.10",
    install_requires=(HERE / "requirements.txt").read_text(encoding="utf-8").splitlines(),
    extras_require={"test": ["hypothesis", "jax", "ruff"]},
    classifiers=[
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
