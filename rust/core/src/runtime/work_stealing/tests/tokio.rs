//! Tokio, traced by hand.

use super::*;

fn tokio(slots: u16, run: u16) -> WorkStealing {
    running(&WorkStealingConfig::tokio(), slots, run)
}

/// Slot 0 runs a task that filled its queue with so many others.
fn with_queue(slots: u16, run: u16, tasks: impl IntoIterator<Item = u32>) -> WorkStealing {
    let mut runtime = tokio(slots, run);
    runtime.config.woken = Place::Local;
    wake_all(&mut runtime, Some(A), tasks);
    runtime.config.woken = Place::NextSlot;
    runtime
}

#[test]
fn nobody_is_woken_for_a_task_that_just_fills_the_lifo_slot() {
    let mut runtime = tokio(2, 1);
    assert!(!runtime.push(Tid(0), Some(A), Push::Woken).notifies);
    assert!(runtime.push(Tid(1), Some(A), Push::Spawned).notifies, "it displaced one that can be stolen");
    assert_eq!(runs(&mut runtime, A, 2), [1, 0]);
    assert!(runtime.push(Tid(2), None, Push::Woken).notifies);
}

#[test]
fn the_lifo_slot_is_polled_three_times_in_a_row() {
    let mut runtime = with_queue(1, 1, [10, 11]);
    assert_eq!(runs(&mut runtime, A, 1), [10]);
    for _ in 0..3 {
        assert!(!runtime.push(Tid(1), Some(A), Push::Woken).notifies);
        let next = runtime.next(A);
        assert_eq!((next.task, next.inherits_slice), (Some(Tid(1)), true));
    }
    assert!(runtime.push(Tid(1), Some(A), Push::Woken).notifies, "it went to the queue");
    let next = runtime.next(A);
    assert_eq!((next.task, next.inherits_slice), (Some(Tid(11)), false));
    assert!(!runtime.push(Tid(2), Some(A), Push::Woken).notifies, "the place is open again");
    assert_eq!(runs(&mut runtime, A, 2), [2, 1]);
}

#[test]
fn the_lifo_slot_is_not_stealable() {
    let mut runtime = tokio(2, 2);
    wake_all(&mut runtime, Some(A), [0]);
    let next = runtime.next(B);
    assert_eq!((next.task, next.naps, next.visited), (None, 0, 1));
    assert!(runtime.retire(B));
    wake_all(&mut runtime, Some(A), [1]);
    assert_eq!(runtime.wake(), Some(B));
    assert_eq!(runtime.next(B).task, Some(Tid(0)));
}

#[test]
fn a_full_ring_moves_its_128_newest_and_the_new_one_to_the_shared_queue() {
    let mut runtime = tokio(2, 1);
    wake_all(&mut runtime, Some(A), 0..257);
    let pushed = runtime.push(Tid(257), Some(A), Push::Woken);
    assert_eq!((pushed.overflowed, pushed.notifies), (129, true));
    assert!(runtime.own[0].queue.iter().map(|task| task.0).eq(0..128));
    let shared: Vec<u32> = std::iter::from_fn(|| runtime.shared.pop()).map(|task| task.0).collect();
    assert!(shared.into_iter().eq(128..257));
}

#[test]
fn the_61st_task_comes_from_the_shared_queue() {
    let mut runtime = with_queue(1, 1, 0..130);
    wake_all(&mut runtime, None, 1000..1010);
    let order = runs(&mut runtime, A, 122);
    assert!(order[..60].iter().copied().eq(0..60), "{order:?}");
    assert_eq!((order[60], order[61], order[121]), (1000, 60, 1001));
}

#[test]
fn polls_of_100_us_shorten_the_interval_to_2() {
    let mut runtime = with_queue(1, 1, 0..130);
    wake_all(&mut runtime, None, 1000..1010);
    let order: Vec<u32> = (0..66)
        .map(|_| {
            let task = runtime.next(A).task.unwrap();
            runtime.polled(A, Picos::from_nanos(100_000));
            task.0
        })
        .collect();
    assert_eq!(order[58..], [58, 59, 1000, 1001, 60, 1002, 61, 1003]);
}

#[test]
fn polls_of_1_us_stretch_the_interval_to_127() {
    let mut runtime = tokio(1, 1);
    runtime.config.woken = Place::Local;
    let mut shared = Vec::new();
    for pick in 1..=1000 {
        wake_all(&mut runtime, Some(A), [0]);
        wake_all(&mut runtime, None, [1]);
        if runtime.next(A).task == Some(Tid(1)) {
            shared.push(pick);
        }
        runtime.polled(A, Picos::from_nanos(1_000));
    }
    assert_eq!(shared, [61, 127, 254, 381, 508, 635, 762, 889]);
}

#[test]
fn who_yields_waits_until_nothing_else_is_found_and_the_first_comes_back_first() {
    let mut runtime = with_queue(2, 1, [10, 11]);
    for task in 0..3 {
        assert_eq!(runtime.push(Tid(task), Some(A), Push::Yielded), Pushed::default());
    }
    assert!(!runtime.retire(A));
    assert_eq!(runs(&mut runtime, A, 6), [10, 11, 0, 2, 1]);
}

#[test]
fn who_yields_comes_back_after_61_tasks() {
    let mut runtime = with_queue(1, 1, 10..200);
    runtime.push(Tid(0), Some(A), Push::Yielded);
    let order = runs(&mut runtime, A, 61);
    assert_eq!((order[59], order[60]), (69, 0));
}

#[test]
fn a_thief_makes_one_pass_and_runs_the_newest_of_half() {
    let mut runtime = with_queue(4, 4, 0..5);
    assert_eq!(runtime.next(B).stolen, 3);
    assert_eq!(runs(&mut runtime, B, 2), [0, 1]);
    assert_eq!(runs(&mut runtime, A, 2), [3, 4]);
    assert_eq!(runtime.next(C).visited, 3);
}

#[test]
fn half_of_all_slots_may_search() {
    let mut runtime = tokio(8, 5);
    let visits: Vec<u32> = (0..5).map(|slot| runtime.next(Slot(slot)).visited).collect();
    assert_eq!(visits, [4, 4, 4, 4, 0]);
    assert_eq!(runtime.searching(), 4);
}

#[test]
fn the_last_that_searches_and_finds_wakes_another() {
    let mut runtime = tokio(4, 3);
    assert_eq!((runtime.next(B).task, runtime.next(C).task), (None, None));
    runtime.config.woken = Place::Local;
    wake_all(&mut runtime, Some(A), 0..4);
    let next = runtime.next(B);
    assert_eq!((next.task, next.notifies), (Some(Tid(1)), false), "another searches still");
    let next = runtime.next(C);
    assert_eq!((next.stolen, next.notifies), (1, true));
    assert_eq!(runtime.wake(), Some(Slot(3)));
}

#[test]
fn the_last_that_searches_looks_at_all_queues_before_it_parks() {
    let mut runtime = tokio(4, 3);
    assert_eq!((runtime.next(B).task, runtime.next(C).task), (None, None));
    runtime.config.woken = Place::Local;
    wake_all(&mut runtime, Some(A), [0]);
    assert!(runtime.retire(B), "another searches still");
    assert!(!runtime.retire(C));
    assert_eq!((runtime.status(C), runtime.next(C).task), (Status::Searching, Some(Tid(0))));
}

#[test]
fn an_idle_slot_takes_its_part_of_the_shared_queue() {
    for (waiting, part) in [(1, 1), (4, 2), (10, 3), (1000, 128)] {
        let mut runtime = tokio(4, 1);
        wake_all(&mut runtime, None, 0..waiting);
        let next = runtime.next(A);
        assert_eq!((next.task, next.from_global), (Some(Tid(0)), part), "of {waiting}");
    }
}

#[test]
fn a_blocked_worker_hands_its_core_to_another_thread_and_its_lifo_slot_to_thieves() {
    let mut runtime = tokio(2, 2);
    wake_all(&mut runtime, Some(A), [0]);
    runtime.block(A);
    assert_eq!((runtime.hand_off(A), runtime.status(A)), (Some(false), Status::Running));
    assert_eq!(runtime.next(B).task, Some(Tid(0)));
}
