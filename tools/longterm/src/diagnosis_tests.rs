// SPDX-License-Identifier: GPL-2.0

//! One fault at a time: exactly that one is found.

use super::*;

fn healthy() -> Facts {
    Facts {
        patched: Some(true),
        module: true,
        tables: true,
        sysctls: [
            ("break_time".to_string(), -1),
            ("max_leases".to_string(), 8192),
        ]
        .into(),
        leases_enable: Some(1),
        lease_break_time: Some(45),
        dax_mounts: vec![MountFacts {
            point: "/mnt/dax".into(),
            fs: "ext4".into(),
            device: Some(true),
        }],
        uid: 1000,
        capabilities: 0,
        memlock: None,
        tracefs: true,
        trace_cmd: true,
        files: vec![],
    }
}

fn file() -> FileFacts {
    FileFacts {
        path: "/mnt/dax/f".into(),
        error: None,
        kind: Kind::Regular,
        fs: "xfs".into(),
        wants_dax: true,
        point: "/mnt/dax".into(),
        dax: true,
        shared: Some(false),
        owner: 1000,
        size: 1 << 20,
    }
}

fn with_file(change: impl FnOnce(&mut FileFacts)) -> Facts {
    let mut f = file();
    change(&mut f);
    Facts {
        files: vec![f],
        ..healthy()
    }
}

/// The one fault's text and fix.
fn fault(facts: &Facts) -> String {
    let found: Vec<_> = judge(facts)
        .into_iter()
        .filter(|f| f.verdict == Verdict::Wrong)
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    let fix = found[0].fix.as_deref().expect("what is wrong has a fix");
    format!("{}: {fix}", found[0].text)
}

#[test]
fn nothing_is_wrong() {
    for facts in [healthy(), with_file(|_| ())] {
        let wrong: Vec<_> = judge(&facts)
            .into_iter()
            .filter(|f| f.verdict != Verdict::Fine)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn each_fault_of_the_system() {
    type Plant = fn(&mut Facts);
    let faults: [(Plant, &str); 11] = [
        (|f| f.patched = Some(false), "CONFIG_LONGTERM_LEASE=y"),
        (|f| f.module = false, "modprobe longterm"),
        (|f| f.tables = false, "rmmod longterm"),
        (|f| f.leases_enable = Some(0), "sysctl fs.leases-enable=1"),
        (
            |f| f.lease_break_time = Some(0),
            "sysctl fs.lease-break-time=45",
        ),
        (
            |f| _ = f.sysctls.insert("break_time".into(), 0),
            "sysctl fs.longterm.break_time=45",
        ),
        (
            |f| _ = f.sysctls.insert("max_leases".into(), 0),
            "sysctl fs.longterm.max_leases",
        ),
        (|f| f.dax_mounts.clear(), "mount -o dax=always"),
        (
            |f| f.dax_mounts[0].device = Some(false),
            "ndctl create-namespace",
        ),
        (|f| f.memlock = Some(8 << 20), "ulimit -l unlimited"),
        (|f| f.tracefs = false, "mount -t tracefs"),
    ];
    for (plant, fix) in faults {
        let mut facts = healthy();
        plant(&mut facts);
        let said = fault(&facts);
        assert!(said.contains(fix), "{said}");
    }
}

#[test]
fn each_fault_of_a_file() {
    type Plant = fn(&mut FileFacts);
    let faults: [(Plant, &str); 9] = [
        (|f| f.error = Some("No such file".into()), "No such file"),
        (|f| f.kind = Kind::Other, "no regular file"),
        (|f| f.dax = false, "chattr +x"),
        (|f| (f.dax, f.wants_dax) = (false, false), "dax=always"),
        (|f| (f.dax, f.fs) = (false, "tmpfs".into()), "on tmpfs"),
        (|f| (f.dax, f.fs) = (false, "overlay".into()), "upper layer"),
        (|f| f.fs = "fuse".into(), "can't protect"),
        (|f| f.shared = Some(true), "cp --reflink=never"),
        (|f| f.owner = 7, "cap_lease"),
    ];
    for (plant, fix) in faults {
        let said = fault(&with_file(plant));
        assert!(said.contains(fix), "{said}");
    }
}

#[test]
fn capabilities_help() {
    let mut facts = with_file(|f| f.owner = 7);
    facts.memlock = Some(0);
    facts.capabilities = (1 << CAP_LEASE) | (1 << CAP_IPC_LOCK);
    assert!(judge(&facts).iter().all(|f| f.verdict == Verdict::Fine));
}

#[test]
fn a_limit_is_held_against_the_file() {
    let mut facts = with_file(|f| f.size = 1 << 20);
    facts.memlock = Some(1 << 20);
    assert!(judge(&facts).iter().all(|f| f.verdict == Verdict::Fine));
    facts.memlock = Some((1 << 20) - 1);
    assert!(fault(&facts).contains("RLIMIT_MEMLOCK"));
}

#[test]
fn what_is_not_known_is_not_wrong() {
    let mut facts = with_file(|f| f.shared = None);
    facts.patched = None;
    facts.trace_cmd = false;
    let notes: Vec<_> = judge(&facts)
        .into_iter()
        .filter(|f| f.verdict == Verdict::Note)
        .collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
}
