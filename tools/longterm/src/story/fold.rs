// SPDX-License-Identifier: GPL-2.0

//! Too many lanes for one picture: which ones are worth seeing.

use super::{BarKind, Lane, Role, Story};
use std::collections::HashSet;

impl Story {
    /// Leave out lanes so that `limit` are left: first those to which nothing happened.
    pub(crate) fn fold(&mut self, limit: usize) {
        let mut weights: Vec<(u64, usize, usize)> = Vec::new();
        for (f, file) in self.files.iter().enumerate() {
            for (l, lane) in file.lanes.iter().enumerate() {
                weights.push((weight(lane), f, l));
            }
        }
        if weights.len() <= limit {
            return;
        }
        // Of equal weight the earlier one stays.
        weights.sort_by_key(|&(w, f, l)| (std::cmp::Reverse(w), f, l));
        let stay: HashSet<(usize, usize)> =
            weights[..limit].iter().map(|&(_, f, l)| (f, l)).collect();
        for (f, file) in self.files.iter_mut().enumerate() {
            let lanes = std::mem::take(&mut file.lanes);
            for (l, lane) in lanes.into_iter().enumerate() {
                match lane.role {
                    _ if stay.contains(&(f, l)) => file.lanes.push(lane),
                    Role::Holder => file.hidden.0 += 1,
                    Role::Breaker => file.hidden.1 += 1,
                }
            }
        }
        self.hidden_files = self.files.iter().filter(|f| f.lanes.is_empty()).count();
    }
}

fn weight(lane: &Lane) -> u64 {
    let broken = lane.bars.iter().filter(|b| match b.kind {
        BarKind::Break { waits, result } => waits.is_some() || result.is_some_and(|r| r != 0),
        BarKind::Revoked => true,
        _ => false,
    });
    let happened = broken.count() + lane.signs.len();
    happened as u64 * 1000 + lane.bars.len().min(999) as u64
}
