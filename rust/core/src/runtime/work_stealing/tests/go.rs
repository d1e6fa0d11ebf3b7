//! Go, traced by hand.

use super::*;

fn go(slots: u16, run: u16) -> WorkStealing {
    running(&WorkStealingConfig::go(), slots, run)
}

#[test]
fn the_newest_woken_task_runs_first_and_the_others_in_their_order() {
    let mut runtime = go(1, 1);
    wake_all(&mut runtime, Some(A), 0..4);
    let order: Vec<Next> = (0..4).map(|_| runtime.next(A)).collect();
    assert_eq!(order.iter().map(|next| next.task.unwrap().0).collect::<Vec<_>>(), [3, 0, 1, 2]);
    assert_eq!(order.iter().map(|next| next.inherits_slice).collect::<Vec<_>>(), [true, false, false, false]);
}

#[test]
fn the_first_and_the_62nd_task_come_from_the_shared_queue() {
    let mut runtime = go(1, 1);
    runtime.config.woken = Place::Local;
    wake_all(&mut runtime, Some(A), 0..100);
    wake_all(&mut runtime, None, 1000..1010);
    let order = runs(&mut runtime, A, 63);
    assert_eq!((order[0], order[61], order[62]), (1000, 1001, 60));
    assert!(order[1..61].iter().copied().eq(0..60), "{order:?}");
}

#[test]
fn a_task_that_inherits_the_slice_moves_no_tick() {
    let mut runtime = go(1, 1);
    wake_all(&mut runtime, None, [1000, 1001]);
    assert_eq!(runs(&mut runtime, A, 1), [1000]);
    for _ in 0..200 {
        runtime.push(Tid(1), Some(A), Push::Woken);
        assert_eq!(runs(&mut runtime, A, 1), [1]);
    }
    assert_eq!(runtime.shared.len(), 1);
}

#[test]
fn a_full_ring_moves_its_128_oldest_and_the_new_one_to_the_shared_queue() {
    let mut runtime = go(2, 1);
    wake_all(&mut runtime, Some(A), 0..257);
    assert_eq!((runtime.own[0].queue.len(), runtime.shared.len()), (256, 0));
    let pushed = runtime.push(Tid(257), Some(A), Push::Woken);
    assert_eq!((pushed.overflowed, pushed.is_global, pushed.notifies), (129, false, true));
    assert_eq!((runtime.own[0].queue.len(), runtime.own[0].next), (128, Some(Tid(257))));
    let shared: Vec<u32> = std::iter::from_fn(|| runtime.shared.pop()).map(|task| task.0).collect();
    assert!(shared.into_iter().eq((0..128).chain([256])));
}

#[test]
fn an_idle_queue_takes_its_part_of_the_shared_one() {
    for (waiting, slots, part) in [(1, 4, 1), (3, 4, 1), (4, 4, 2), (100, 4, 26), (600, 4, 128), (10, 1, 10)] {
        let mut runtime = go(slots, 1);
        runtime.turns[0].picked();
        wake_all(&mut runtime, None, 0..waiting);
        let next = runtime.next(A);
        assert_eq!((next.task, next.from_global), (Some(Tid(0)), part), "{waiting} of {slots}");
        assert!(runtime.own[0].queue.iter().map(|task| task.0).eq(1..part));
    }
}

#[test]
fn a_thief_takes_the_older_half_and_runs_the_newest_of_it() {
    let mut runtime = go(2, 2);
    wake_all(&mut runtime, Some(A), 0..6);
    let next = runtime.next(B);
    assert_eq!((next.task, next.stolen, next.naps, next.notifies), (Some(Tid(2)), 3, 0, true));
    assert_eq!(runs(&mut runtime, B, 2), [0, 1]);
    assert_eq!(runs(&mut runtime, A, 3), [5, 3, 4]);
}

#[test]
fn what_another_is_about_to_run_is_taken_in_the_last_round_after_a_nap() {
    let mut runtime = go(2, 2);
    wake_all(&mut runtime, Some(A), [0]);
    let next = runtime.next(B);
    assert_eq!((next.task, next.naps, next.visited), (None, 1, 4));
    assert!(!runtime.retire(B), "it sleeps and asks again");
    let next = runtime.next(B);
    assert_eq!((next.task, next.naps, next.stolen), (Some(Tid(0)), 0, 1));
    assert_eq!(runtime.next(A).task, None);
}

#[test]
fn what_another_has_run_during_the_nap_is_not_taken() {
    let mut runtime = go(2, 2);
    wake_all(&mut runtime, Some(A), [0]);
    assert_eq!(runtime.next(B).naps, 1);
    assert_eq!(runs(&mut runtime, A, 1), [0]);
    let next = runtime.next(B);
    assert_eq!((next.task, next.naps), (None, 0));
    assert!(runtime.retire(B));
}

#[test]
fn nobody_naps_for_a_slot_that_blocks() {
    let mut runtime = go(2, 2);
    wake_all(&mut runtime, Some(A), [0]);
    runtime.block(A);
    let next = runtime.next(B);
    assert_eq!((next.task, next.naps, next.visited), (Some(Tid(0)), 0, 4));
}

#[test]
fn a_slot_is_woken_unless_one_searches() {
    let mut runtime = go(3, 1);
    assert!(runtime.push(Tid(0), Some(A), Push::Spawned).notifies);
    assert_eq!(runtime.wake(), Some(B));
    assert!(runtime.push(Tid(1), Some(A), Push::Spawned).notifies);
    assert_eq!((runtime.wake(), runtime.searching()), (None, 1));
    let next = runtime.next(B);
    assert_eq!((next.task, next.notifies), (Some(Tid(0)), true));
    assert_eq!((runtime.wake(), runtime.wake()), (Some(C), None));
}

#[test]
fn half_of_the_busy_slots_may_search() {
    let mut runtime = go(8, 4);
    assert_eq!(runtime.next(A).visited, 4 * 3);
    assert_eq!(runtime.next(B).visited, 4 * 3);
    assert_eq!((runtime.next(C).visited, runtime.searching()), (0, 2));
    assert_eq!(runtime.next(A).visited, 4 * 3, "who searches goes on");
}

#[test]
fn who_gave_way_goes_to_the_shared_queue() {
    let mut runtime = go(1, 1);
    for how in [Push::Yielded, Push::Preempted, Push::Returned] {
        let pushed = runtime.push(Tid(0), Some(A), how);
        assert_eq!((pushed.is_global, pushed.notifies), (true, true));
    }
    assert_eq!(runtime.shared.len(), 3);
}

#[test]
fn a_last_look_finds_what_came_in_between() {
    let mut runtime = go(3, 2);
    assert_eq!(runtime.next(B).task, None);
    assert_eq!(runtime.status(B), Status::Searching);
    wake_all(&mut runtime, Some(A), [0, 1]);
    assert!(!runtime.retire(B));
    assert_eq!((runtime.status(B), runtime.idle()), (Status::Searching, 1));
    assert_eq!(runtime.next(B).task, Some(Tid(0)));
}

#[test]
fn who_may_not_search_looks_at_the_shared_queue_alone() {
    let mut runtime = go(2, 2);
    wake_all(&mut runtime, Some(A), [0, 1]);
    assert_eq!(runtime.status(B), Status::Running);
    assert!(runtime.retire(B));
    let mut runtime = go(2, 2);
    wake_all(&mut runtime, None, [0]);
    assert!(!runtime.retire(B));
    assert_eq!(runtime.status(B), Status::Running);
}

#[test]
fn a_slot_is_handed_off_if_there_is_work_or_nobody_else_looks() {
    let blocked = |slots, run, tasks: u32, by| {
        let mut runtime = go(slots, run);
        wake_all(&mut runtime, by, 0..tasks);
        runtime.block(A);
        (runtime.hand_off(A), runtime.status(A))
    };
    assert_eq!(blocked(2, 1, 1, Some(A)), (Some(false), Status::Running));
    assert_eq!(blocked(2, 1, 1, None), (Some(false), Status::Running));
    assert_eq!(blocked(2, 2, 0, None), (Some(true), Status::Searching));
    assert_eq!(blocked(2, 1, 0, None), (None, Status::Idle));
}
