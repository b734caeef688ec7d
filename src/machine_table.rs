// SPDX-License-Identifier: GPL-2.0

//! Every step that the machine can take: from which phase, on which input, to which. KUnit's walk
//! sees these and no others; the picture in `Documentation/` is made of them, and the tests in the
//! guest look for each in the trace of `longterm:break_state`.

use super::{
    Input::{self, *},
    Phase::{self, *}, //
};

/// The steps. Those that stay in their phase are listed too.
pub(crate) const TABLE: &[(Phase, Input, Phase)] = &[
    (Idle, Begin, Notified),
    (Idle, BeginSpent, Revoked),
    (Idle, BeginSpent, Killed),
    (Notified, Join, Notified),
    (Notified, Leave, Notified),
    (Notified, Done, Idle),
    (Notified, Done, Notified),
    (Notified, Tick, Idle),
    (Notified, Tick, Revoked),
    (Notified, Abandon, Idle),
    (Revoked, Join, Notified),
    (Revoked, Join, Revoked),
    (Revoked, Leave, Revoked),
    (Revoked, Done, Idle),
    (Revoked, Done, Revoked),
    (Revoked, Tick, Idle),
    (Revoked, Tick, Killed),
    (Revoked, Tick, Expired),
    (Revoked, Abandon, Idle),
    (Killed, Join, Notified),
    (Killed, Join, Killed),
    (Killed, Leave, Killed),
    (Killed, Done, Idle),
    (Killed, Done, Killed),
    (Killed, Tick, Idle),
    (Killed, Tick, Expired),
    (Killed, Abandon, Idle),
    (Expired, Begin, Notified),
    (Expired, BeginSpent, Revoked),
    (Expired, BeginSpent, Killed),
    (Expired, Leave, Idle),
    (Expired, Leave, Expired),
    (Expired, Done, Idle),
    (Expired, Done, Expired),
];
