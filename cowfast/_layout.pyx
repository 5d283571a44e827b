# SPDX-License-Identifier: MIT
"""numpy dtypes of the records in ``_layout.pxd``, derived from the C structs themselves."""
import numpy as np


def _dtype_of(view):
    return np.asarray(view).dtype


cdef event_t _event
cdef pte_t _pte
cdef link_t _link
cdef page_t _page
cdef place_t _place
cdef slot_t _slot
cdef proc_t _proc
cdef ref_t _ref
cdef check_t _check
cdef content_t _content

EVENT = _dtype_of(<event_t[:1]>&_event)
PTE = _dtype_of(<pte_t[:1]>&_pte)
LINK = _dtype_of(<link_t[:1]>&_link)
PAGE = _dtype_of(<page_t[:1]>&_page)
PLACE = _dtype_of(<place_t[:1]>&_place)
SLOT = _dtype_of(<slot_t[:1]>&_slot)
PROC = _dtype_of(<proc_t[:1]>&_proc)
REF = _dtype_of(<ref_t[:1]>&_ref)
CHECK = _dtype_of(<check_t[:1]>&_check)
CONTENT = _dtype_of(<content_t[:1]>&_content)
