// SPDX-License-Identifier: GPL-2.0

//! What leases and records a user may have, as long as each of them lives.

use super::{
    kapi::{
        mapping::MappingKey,
        report,
        user::{may_exceed_limits, UserId}, //
    },
    limits::{Accounts, Kind, Limit, Refusal, Room},
    policy,
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex}, //
};

/// What all users have.
///
/// The mutex is a leaf: nothing is locked and nothing allocated under it.
#[pin_data]
pub(crate) struct Quotas {
    #[pin]
    accounts: Mutex<Accounts<UserId, MappingKey>>,
}

impl Quotas {
    /// Nobody has anything.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                accounts <- new_mutex!(Accounts::new(), "longterm::quotas"),
            }),
            GFP_KERNEL,
        )
    }

    /// Would one more be refused?
    pub(crate) fn at_limit(&self, kind: Kind, mapping: MappingKey) -> bool {
        let accounts = self.accounts.lock();
        let reached = accounts.reached(UserId::current(), mapping, kind, policy::limits());
        drop(accounts);
        reached.is_some() && !may_exceed_limits()
    }

    /// One more for the current user on the file of `mapping`. [`ENOLCK`] at a limit, which the
    /// log then names.
    pub(crate) fn take(self: &Arc<Self>, kind: Kind, mapping: MappingKey) -> Result<Quota> {
        let user = UserId::current();
        let limits = policy::limits();
        let mut room = Room::none();
        loop {
            let taken =
                self.accounts
                    .lock()
                    .take(user, mapping, kind, limits, may_exceed_limits, room);
            match taken {
                Ok(()) => {
                    return Ok(Quota {
                        of: self.clone(),
                        user,
                        mapping,
                        kind,
                    })
                }
                Err(Refusal::NoRoom) => room = Room::new()?,
                Err(Refusal::Reached(limit)) => {
                    let (name, value) = match limit {
                        Limit::Leases => (c"max_leases", limits.leases),
                        Limit::Files => (c"max_files", limits.files),
                        Limit::Records => (c"max_records", limits.records),
                    };
                    report::limit(name, value, user);
                    return Err(ENOLCK);
                }
            }
        }
    }
}

/// One lease or record that is counted for a user until this is dropped, which may happen under any
/// lock of the module.
pub(crate) struct Quota {
    of: Arc<Quotas>,
    user: UserId,
    mapping: MappingKey,
    kind: Kind,
}

impl Drop for Quota {
    fn drop(&mut self) {
        self.of
            .accounts
            .lock()
            .give_back(self.user, self.mapping, self.kind);
    }
}
