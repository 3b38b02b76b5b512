"""The case library: real defects of OP-TEE, found before their fix and proved absent after.

Goal: `library` reads the kit's cases, `verdicts` runs them, `page` writes them up.
Non-goals: the models (they are specs, in `specs/cases/`) and printing (see `tessera.cli`).
"""
