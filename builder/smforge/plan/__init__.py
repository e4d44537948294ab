"""Resolves a matrix.

Input: a matrix and the names of variants. Output: per variant, platform and bake target the
toolkit, arch lists, build arguments, requirements, what is compiled as another target, and what was
dropped and why.
"""

from smforge.callable_package import make_callable

make_callable(__name__)
