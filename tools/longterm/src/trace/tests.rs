// SPDX-License-Identifier: GPL-2.0

//! Lines as tracefs, trace-cmd and trace-cmd -R write them.

use super::*;

fn range(line: &str) -> (Event, String, FileId, u64, Option<u64>, u32, i32) {
    let event = Event::parse(line).unwrap_or_else(|| panic!("no event: {line}"));
    match event.what.clone() {
        What::Range {
            name,
            file,
            start,
            end,
            pid,
            result,
        } => (event, name, file, start, end, pid, result),
        other => panic!("{other:?}"),
    }
}

const FILE: FileId = FileId {
    dev: Dev(259, 0),
    ino: 13,
};

#[test]
fn a_line_of_tracefs() {
    let (event, name, file, start, end, pid, result) = range(
        "  longterm_rdma-205     [001] .....    98.123456: pin: dev=259:0 ino=13 start=0 end=2097152 pid=204 result=0",
    );
    assert_eq!(
        (event.task.as_str(), event.tid, event.time),
        ("longterm_rdma", 205, 98_123_456_000)
    );
    assert_eq!(
        (name.as_str(), file, start, end),
        ("pin", FILE, 0, Some(2 << 20))
    );
    assert_eq!((pid, result), (204, 0));
}

#[test]
fn names_of_tasks_are_anything() {
    for (task, tid) in [
        ("a-b c", 7),
        ("x [001] y", 8),
        ("(odd) -3", 9),
        ("kworker/0:1", 10),
        ("<...>", 11),
    ] {
        let line = format!("  {task}-{tid}  [000] d..1.  1.5: sigio: dev=8:1 ino=2 start=0 end=9223372036854775807 pid=3 result=0");
        let (event, _, _, _, end, _, _) = range(&line);
        assert_eq!((event.task.as_str(), event.tid), (task, tid));
        assert_eq!(end, None, "to the end");
    }
}

#[test]
fn the_thread_group_may_be_shown() {
    let (event, ..) = range(
        "  app-206   (  205) [001] .....    1.000001: busy: dev=8:1 ino=2 start=0 end=1 pid=205 result=-26",
    );
    assert_eq!((event.task.as_str(), event.tid), ("app", 206));
    let (event, ..) =
        range("  app-206   (-----) [001] .....    1.000001: busy: dev=8:1 ino=2 start=0 end=1 pid=205 result=26");
    assert_eq!((event.task.as_str(), event.tid), ("app", 206));
}

#[test]
fn lines_of_trace_cmd() {
    let (event, name, file, ..) = range(
        "   longterm_rdma-205   [001]    98.123456789: lease_take:           dev=259:0 ino=13 start=0 end=2097152 pid=205 result=0",
    );
    assert_eq!(
        (event.time, name.as_str(), file),
        (98_123_456_789, "lease_take", FILE)
    );
    // Raw: numbers as they are in the record.
    let (_, _, file, start, end, pid, result) = range(
        "   longterm_rdma-205   [001] .....    98.123456789: pin:   dev=0x10300 ino=13 start=0x1000 end=0x7fffffffffffffff pid=205 result=-11",
    );
    assert_eq!(
        (file, start, end, pid, result),
        (FILE, 4096, None, 205, -11)
    );
    assert_eq!(dev("1048832"), Some(Dev(1, 256)));
}

#[test]
fn steps_of_the_machine() {
    let event = Event::parse(
        "  shrink-211   [000] .....  99.5: break_state: dev=259:0 ino=13 from=idle input=begin to=notified",
    );
    let what = event.unwrap().what;
    let want = What::State {
        file: FILE,
        from: "idle".into(),
        input: "begin".into(),
        to: "notified".into(),
    };
    assert_eq!(what, want);
}

#[test]
fn marks_in_both_forms() {
    for line in [
        "  demo-1 [000] .....  1.0: tracing_mark_write: scene: a holder: x\n",
        "  demo-1 [000]  1.0: print:  ip=0xffffffff81 buf=scene: a holder: x",
    ] {
        assert_eq!(
            Event::parse(line).unwrap().what,
            What::Mark("scene: a holder: x".into())
        );
    }
}

#[test]
fn what_was_lost_is_known() {
    assert_eq!(
        Event::parse("CPU:1 [LOST 12 EVENTS]").unwrap().what,
        What::Lost(12)
    );
    assert_eq!(
        Event::parse("CPU 3: 7 EVENTS DROPPED").unwrap().what,
        What::Lost(7)
    );
}

#[test]
fn everything_else_is_passed_over() {
    for line in [
        "",
        "# tracer: nop",
        "cpus=2",
        "  a-1 [000] .....  1.0: sys_truncate(path: 1, length: 2)",
        "  a-1 [000] .....  1.0: sched_switch: prev=1",
        "  a-1 [000] .....  1.0: pin: dev=8:1 ino=2 start=0",
        "  a-1 [000] .....  1.0: pin: nonsense",
        "  a-1 [xyz] .....  1.0: pin: dev=8:1 ino=2 start=0 end=1 pid=1 result=0",
        "  a [000] .....  1.0: pin: dev=8:1 ino=2 start=0 end=1 pid=1 result=0",
    ] {
        assert_eq!(Event::parse(line), None, "{line}");
    }
}
