# SPDX-License-Identifier: GPL-2.0
"""The last one: what all the others have done to the filesystem."""
from lib import guest
from lib.case import ALL, test


@test(limit=60, kernels=ALL)
def clean_after_all(t):
    t.eq(guest.fsck(), "", "what fsck says")
