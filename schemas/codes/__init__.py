"""Dated code lists: what the codes of labels and notices mean, in the six languages of the OSCE.

Each list is a JSON file beside this module with its edition and its source; entries whose source was not read say so.
An operator replaces a list with `replace(load(bytes))` at start. This package does not decide anything: which code
may go where is the business of `schemas.rules`.
"""

from schemas.codes.cas import is_cas
from schemas.codes.lists import LANGUAGES, LISTS, CodeList, Entry, code_list, load, lookup, replace

__all__ = ["LANGUAGES", "LISTS", "CodeList", "Entry", "code_list", "is_cas", "load", "lookup", "replace"]
