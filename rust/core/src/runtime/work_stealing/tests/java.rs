//! Virtual threads of Java, traced by hand.

use super::*;

fn java(slots: u16, run: u16) -> WorkStealing {
    running(&WorkStealingConfig::java(), slots, run)
}

#[test]
fn a_carrier_runs_the_oldest_task_first() {
    let mut runtime = java(1, 1);
    wake_all(&mut runtime, Some(A), 0..5);
    assert_eq!(runs(&mut runtime, A, 5), [0, 1, 2, 3, 4]);
}

#[test]
fn a_thief_takes_one_task_the_oldest() {
    let mut runtime = java(2, 2);
    wake_all(&mut runtime, Some(A), 0..5);
    let next = runtime.next(B);
    assert_eq!((next.task, next.stolen), (Some(Tid(0)), 1));
    assert_eq!(runs(&mut runtime, A, 4), [1, 2, 3, 4]);
}

#[test]
fn a_thief_comes_back_to_where_it_took_from() {
    let mut runtime = java(8, 8);
    wake_all(&mut runtime, Some(A), 0..5);
    assert_eq!(runtime.next(B).task, Some(Tid(0)));
    for task in 1..5 {
        let next = runtime.next(B);
        assert_eq!((next.task, next.visited), (Some(Tid(task)), 1));
    }
    let next = runtime.next(B);
    assert_eq!((next.task, next.visited), (None, 1 + 7 + 8), "its source, the other slots, the shared queues");
}

#[test]
fn a_new_thread_goes_to_a_shared_queue_though_a_carrier_starts_it() {
    let mut runtime = java(2, 2);
    let pushed = runtime.push(Tid(0), Some(B), Push::Spawned);
    assert_eq!((pushed.is_global, pushed.notifies), (true, true));
    assert!(!runtime.has_work(B));
    wake_all(&mut runtime, Some(B), [1]);
    assert_eq!(runs(&mut runtime, B, 2), [1, 0]);
}

#[test]
fn what_a_carrier_starts_and_what_comes_from_outside_are_queues_apart() {
    let mut runtime = java(3, 3);
    for task in 0..10 {
        runtime.push(Tid(task), None, Push::Spawned);
    }
    runtime.push(Tid(10), Some(C), Push::Spawned);
    assert_eq!((runtime.shared.is_queue_empty(0), runtime.shared.is_queue_empty(2)), (false, false));
    assert!(runtime.shared.is_queue_empty(1));
    let first = runtime.next(A).task.unwrap();
    assert!([Tid(0), Tid(10)].contains(&first), "the oldest of either");
}

#[test]
fn who_yields_leaves_its_carrier_only_if_nobody_waits_there() {
    let mut runtime = java(2, 1);
    assert!(runtime.push(Tid(0), Some(A), Push::Yielded).is_global);
    wake_all(&mut runtime, Some(A), [1]);
    assert!(!runtime.push(Tid(2), Some(A), Push::Yielded).is_global);
    assert_eq!(runs(&mut runtime, A, 3), [1, 2, 0]);
}

#[test]
fn somebody_is_woken_for_a_task_that_joins_an_empty_queue() {
    let mut runtime = java(3, 1);
    assert!(runtime.push(Tid(0), Some(A), Push::Woken).notifies);
    assert!(!runtime.push(Tid(1), Some(A), Push::Woken).notifies);
    assert!(runtime.push(Tid(2), None, Push::Woken).notifies);
    assert_eq!((runtime.wake(), runtime.wake(), runtime.wake()), (Some(B), Some(C), None), "though others search");
}

#[test]
fn who_is_woken_wakes_another_if_it_leaves_tasks() {
    let mut runtime = java(4, 1);
    wake_all(&mut runtime, Some(A), 0..3);
    assert_eq!(runtime.wake(), Some(B));
    assert!(runtime.next(B).notifies);
    assert!(!runtime.next(B).notifies, "it has told");
    assert_eq!(runtime.wake(), Some(C));
    assert!(!runtime.next(C).notifies, "it took the last");
}

#[test]
fn all_may_search() {
    let mut runtime = java(4, 4);
    for slot in 0..4 {
        assert_eq!(runtime.next(Slot(slot)).visited, 3 + 4);
    }
    assert_eq!(runtime.searching(), 4);
}

#[test]
fn a_queue_has_no_limit() {
    let mut runtime = java(2, 1);
    for task in 0..100_000 {
        assert_eq!(runtime.push(Tid(task), Some(A), Push::Woken).overflowed, 0);
    }
    assert_eq!((runtime.own[0].queue.len(), runtime.queued()), (100_000, 100_000));
}

#[test]
fn a_carrier_that_blocks_is_compensated() {
    let mut runtime = java(2, 2);
    wake_all(&mut runtime, Some(A), [0]);
    runtime.block(A);
    assert_eq!((runtime.hand_off(A), runtime.status(A)), (Some(true), Status::Searching));
    assert_eq!(runtime.next(A).task, Some(Tid(0)));
}
