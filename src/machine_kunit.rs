// SPDX-License-Identifier: GPL-2.0

//! KUnit: the machine, state by state and story by story.

use super::{
    table::TABLE,
    walk::{walk, Steps},
    *, //
};
use kernel::prelude::*;

/// How many states there are, and how many ways from one to another: a change of the machine that
/// adds or loses one is seen here.
const WITHOUT_SIGKILL: (usize, usize) = (309, 2305);
const WITH_SIGKILL: (usize, usize) = (568, 4176);

#[kunit_tests(longterm_machine)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        period: 1000,
        kill: false,
    };

    #[test]
    fn every_state_and_input_without_sigkill() -> Result {
        let found = walk(false, &mut Steps(KVec::new()))?;
        if found != WITHOUT_SIGKILL {
            pr_err!("machine: {found:?}, not {WITHOUT_SIGKILL:?}\n");
        }
        assert!(found == WITHOUT_SIGKILL);
        Ok(())
    }

    #[test]
    fn every_state_and_input_with_sigkill() -> Result {
        let found = walk(true, &mut Steps(KVec::new()))?;
        if found != WITH_SIGKILL {
            pr_err!("machine: {found:?}, not {WITH_SIGKILL:?}\n");
        }
        assert!(found == WITH_SIGKILL);
        Ok(())
    }

    #[test]
    fn the_table_is_what_happens() -> Result {
        let mut steps = Steps(KVec::new());
        walk(false, &mut steps)?;
        walk(true, &mut steps)?;
        let mut complete = true;
        for (from, input, to) in steps.0.iter() {
            if !TABLE.contains(&(*from, *input, *to)) {
                pr_err!("machine: not in the table: {from:?} {input:?} {to:?}\n");
                complete = false;
            }
        }
        for step in TABLE {
            if !steps.0.contains(step) {
                pr_err!("machine: never happens: {step:?}\n");
                complete = false;
            }
        }
        assert!(complete);
        Ok(())
    }

    #[test]
    fn the_ladder_in_order() {
        let mut m = Machine::new();
        let (ticket, first) = m.begin(50, TERMS, Ladder::Full);
        assert!(first);
        assert!(m.poll(&ticket, 50, false) == Verdict::Wait(1050));
        assert!(m.tick(1049).is_none());
        assert!(m.tick(1050) == Some(Action::Revoke));
        assert!(m.tick(1050).is_none());
        assert!(m.poll(&ticket, 1050, false) == Verdict::Wait(2050));
        assert!(m.tick(2050) == Some(Action::Expire));
        assert!(m.poll(&ticket, 2050, false) == Verdict::Busy);
        assert!(m.poll(&ticket, 2050, true) == Verdict::Go);
        assert!(m.tick(9999).is_none());
    }

    #[test]
    fn the_ladder_with_sigkill() {
        let mut m = Machine::new();
        let terms = Terms {
            kill: true,
            ..TERMS
        };
        let (ticket, _) = m.begin(0, terms, Ladder::Full);
        assert!(m.tick(1000) == Some(Action::Revoke));
        assert!(m.tick(2000) == Some(Action::Kill));
        assert!(m.poll(&ticket, 2000, false) == Verdict::Wait(3000));
        assert!(m.tick(3000) == Some(Action::Expire));
    }

    #[test]
    fn a_joiner_has_no_time_of_its_own() {
        let mut m = Machine::new();
        let (_, first) = m.begin(0, TERMS, Ladder::Full);
        assert!(first);
        let later = Terms {
            period: 77_000,
            kill: true,
        };
        let (ticket, first) = m.begin(600, later, Ladder::Full);
        assert!(!first);
        assert!(m.poll(&ticket, 600, false) == Verdict::Wait(1000));
    }

    #[test]
    fn an_interrupted_break_is_remembered_for_a_period() {
        let mut m = Machine::new();
        m.begin(0, TERMS, Ladder::Full);
        assert!(m.leave(300, false).is_none());
        assert!(m.deadline() == Some(1300));
        // What falls due meanwhile is not sent ...
        assert!(m.tick(1299).is_none());
        assert!(m.phase() == Phase::Notified);
        // ... unless someone comes back, and then the next rung is a full period away.
        let mut back = m;
        let (ticket, first) = back.begin(1299, TERMS, Ladder::Full);
        assert!(!first);
        assert!(back.tick(1299) == Some(Action::Revoke));
        assert!(back.poll(&ticket, 1299, false) == Verdict::Wait(2299));
        // Else all is forgotten.
        assert!(m.tick(1300) == Some(Action::End));
        assert!(m.begin(1301, TERMS, Ladder::Full).1);
    }

    #[test]
    fn a_complete_change_ends_it_at_once() {
        let mut m = Machine::new();
        m.begin(0, TERMS, Ladder::Full);
        m.begin(1, TERMS, Ladder::Full);
        assert!(m.leave(2, true).is_none());
        assert!(m.active());
        assert!(m.leave(3, true) == Some(Action::End));
        assert!(!m.active());
        assert!(m.deadline().is_none());
    }

    #[test]
    fn after_the_end_each_breaker_gets_one_period() {
        let mut m = Machine::new();
        let (early, _) = m.begin(0, TERMS, Ladder::Full);
        m.tick(1000);
        m.tick(2000);
        assert!(m.poll(&early, 2500, false) == Verdict::Busy);
        let (ticket, first) = m.begin(2500, TERMS, Ladder::Spent);
        assert!(first);
        assert!(m.poll(&early, 2500, false) == Verdict::Busy);
        assert!(m.poll(&ticket, 2500, false) == Verdict::Wait(3500));
        assert!(m.leave(2600, false).is_none());
        assert!(m.tick(3500) == Some(Action::Expire));
        assert!(m.poll(&ticket, 3500, false) == Verdict::Busy);

        let mut m = Machine::new();
        let (ticket, first) = m.begin(0, TERMS, Ladder::Spent);
        assert!(first);
        assert!(m.poll(&ticket, 0, false) == Verdict::Wait(1000));
        assert!(m.tick(1000) == Some(Action::Expire));
        assert!(m.poll(&ticket, 1000, false) == Verdict::Busy);
    }

    #[test]
    fn nobody_comes_back_to_an_expired_one() {
        let mut m = Machine::new();
        m.begin(0, TERMS, Ladder::Full);
        m.tick(1000);
        m.tick(2000);
        assert!(m.leave(2000, false) == Some(Action::End));
        assert!(!m.active());
    }

    #[test]
    fn breakers_that_do_not_wait_reach_the_end_too() {
        let mut m = Machine::new();
        let mut now = 0;
        loop {
            while m.tick(now).is_some() {}
            m.begin(now, TERMS, Ladder::Full);
            while m.tick(now).is_some() {}
            if m.leave(now, false) == Some(Action::End) {
                break;
            }
            now += 999;
            assert!(now < 6000);
        }
    }

    #[test]
    fn fresh_holders_make_a_spent_ladder_whole() {
        let mut m = Machine::new();
        let (old, _) = m.begin(0, TERMS, Ladder::Spent);
        let (ticket, first) = m.begin(400, TERMS, Ladder::Full);
        assert!(!first);
        assert!(m.phase() == Phase::Notified);
        assert!(m.poll(&ticket, 400, false) == Verdict::Wait(1000));
        assert!(m.tick(1000) == Some(Action::Revoke));
        assert!(m.poll(&old, 1000, false) == Verdict::Busy);
        assert!(m.poll(&ticket, 1000, false) == Verdict::Wait(2000));
    }

    #[test]
    fn who_is_stopped_late_has_a_period_to_react() {
        let mut m = Machine::new();
        m.begin(0, TERMS, Ladder::Full);
        m.tick(1000);
        let (mut ticket, _) = m.begin(1900, TERMS, Ladder::Full);
        m.extend(&mut ticket, 1900);
        assert!(m.tick(2000) == Some(Action::Expire));
        assert!(m.poll(&ticket, 2000, false) == Verdict::Wait(2900));
        assert!(m.poll(&ticket, 2900, false) == Verdict::Busy);
    }

    #[test]
    fn a_late_clock_costs_no_holder_its_period() {
        let mut m = Machine::new();
        m.begin(0, TERMS, Ladder::Full);
        assert!(m.tick(60_000) == Some(Action::Revoke));
        assert!(m.tick(60_000).is_none());
        assert!(m.tick(60_999).is_none());
        assert!(m.tick(61_900) == Some(Action::Expire));

        let mut m = Machine::new();
        m.begin(0, TERMS, Ladder::Full);
        assert!(m.tick(1950) == Some(Action::Revoke));
        assert!(m.tick(2949).is_none());
        assert!(m.tick(2950) == Some(Action::Expire));
    }

    #[test]
    fn two_who_never_give_up_see_new_generations() {
        let mut m = Machine::new();
        m.begin(0, TERMS, Ladder::Spent);
        let mut begun = 0;
        for i in 1..10 {
            let now = i * 500;
            while m.tick(now).is_some() {}
            begun += u32::from(m.begin(now, TERMS, Ladder::Spent).1);
            m.leave(now, false);
        }
        assert!(begun >= 4);
    }

    #[test]
    fn times_do_not_wrap() {
        let mut m = Machine::new();
        let forever = Terms {
            period: u64::MAX,
            kill: false,
        };
        let (ticket, _) = m.begin(5, forever, Ladder::Full);
        assert!(m.poll(&ticket, 6, false) == Verdict::Wait(u64::MAX));
        assert!(m.tick(u64::MAX - 1).is_none());
        assert!(m.leave(7, false).is_none());
        assert!(m.deadline() == Some(u64::MAX));
    }
}
