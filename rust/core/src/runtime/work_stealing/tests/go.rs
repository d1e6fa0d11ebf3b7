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

#[test]
fn a_wake_that_found_nobody_idle_makes_the_next_that_would_idle_search() {
    for remembers in [true, false] {
        let mut runtime = go(2, 2);
        runtime.config.remembers_wakes = remembers;
        // Both run: nobody is there to be woken for it, and nobody searches.
        assert!(runtime.push(Tid(1), Some(A), Push::Woken).notifies);
        assert_eq!(runtime.wake(), None);
        // The carrier of the second blocks, and another searches with it: no more may.
        assert_eq!(runs(&mut runtime, A, 1), [1]);
        assert_eq!(runtime.hand_off(B), Some(true));
        assert!(runs(&mut runtime, A, 1).is_empty());
        assert_eq!(runtime.status(A), Status::Running, "it may not search by itself");
        assert_eq!(runtime.retire(A), !remembers);
        assert_eq!(runtime.status(A), if remembers { Status::Searching } else { Status::Idle });
        if remembers {
            assert_eq!(runtime.next(A).task, None);
            assert!(runtime.retire(A), "once is enough");
        }
    }
}

#[test]
fn a_slot_that_begins_to_search_by_itself_makes_up_for_such_a_wake() {
    for is_queued in [true, false] {
        let mut runtime = go(2, 2);
        runtime.push(Tid(1), Some(A), Push::Woken);
        assert_eq!(runtime.wake(), None);
        assert!(runtime.is_wake_missed);
        if !is_queued {
            assert_eq!(runs(&mut runtime, A, 1), [1]);
        }
        let next = runtime.next(B);
        assert_eq!((next.task, next.naps, next.visited), (None, u32::from(is_queued), 4), "queued or not");
        assert_eq!((runtime.status(B), runtime.is_wake_missed), (Status::Searching, false));
    }
}

#[test]
fn work_in_the_shared_queue_comes_before_a_wake_that_was_missed() {
    let mut runtime = go(4, 4);
    runtime.is_wake_missed = true;
    wake_all(&mut runtime, None, [0]);
    assert!(!runtime.retire(A));
    assert_eq!((runtime.status(A), runtime.is_wake_missed), (Status::Running, true));
}

/// What input for tasks from 0 on comes to: what is in the slot's own queue and in the shared one, and who was started.
fn injected(runtime: &mut WorkStealing, by: Option<Slot>, tasks: u32) -> (Vec<u32>, Vec<u32>, Vec<u16>, Pushed) {
    let tasks: Vec<Tid> = (0..tasks).map(Tid).collect();
    let mut started = Vec::new();
    let pushed = runtime.inject(&tasks, by, &mut started);
    assert!(started.iter().all(|&slot| runtime.status(slot) == Status::Running), "none of them searches");
    let own = by.map_or(Vec::new(), |slot| runtime.own[slot.index()].queue.iter().map(|task| task.0).collect());
    let shared: Vec<u32> = std::iter::from_fn(|| runtime.shared.pop()).map(|task| task.0).collect();
    assert_eq!(runtime.queued, own.len() + shared.len());
    (own, shared, started.iter().map(|slot| slot.0).collect(), pushed)
}

#[test]
fn input_runs_the_last_here_one_on_each_idle_slot_and_the_others_behind() {
    let (own, shared, started, pushed) = injected(&mut go(3, 1), Some(A), 5);
    assert_eq!((own, shared, started), (vec![4, 1, 0], vec![3, 2], vec![1, 2]));
    assert_eq!((pushed.is_global, pushed.overflowed, pushed.notifies), (true, 0, true));
}

#[test]
fn input_for_one_task_wakes_nobody() {
    let (own, shared, started, pushed) = injected(&mut go(3, 1), Some(A), 1);
    assert_eq!((own, shared, started), (vec![0], vec![], vec![]));
    assert_eq!(pushed, Pushed::default());
}

#[test]
fn input_that_nobody_has_a_slot_for_joins_the_shared_queue_and_starts_all_that_idle() {
    let mut runtime = go(3, 1);
    let (own, shared, started, pushed) = injected(&mut runtime, None, 4);
    assert_eq!((own, shared, started), (vec![], vec![3, 2, 1, 0], vec![1, 2]));
    assert_eq!((pushed.is_global, pushed.notifies), (true, false));
    assert!(runtime.is_wake_missed, "two more would have run them");
    let mut runtime = go(3, 1);
    let (_, _, started, _) = injected(&mut runtime, None, 1);
    assert_eq!((started, runtime.is_wake_missed), (vec![1], false));
}

#[test]
fn input_that_has_no_room_in_the_queue_joins_the_shared_one() {
    let mut runtime = go(1, 1);
    let (own, shared, started, pushed) = injected(&mut runtime, Some(A), 259);
    assert_eq!((own.len(), own[0], own[255]), (256, 258, 3));
    assert_eq!((shared, started), (vec![2, 1, 0], vec![]));
    assert_eq!((pushed.is_global, pushed.overflowed, pushed.notifies), (false, 3, true));
}

#[test]
fn input_leaves_the_place_before_the_queue_as_it_is() {
    let mut runtime = go(2, 2);
    runtime.push(Tid(9), Some(A), Push::Woken);
    assert!(runtime.inject(&[Tid(0), Tid(1)], Some(A), &mut Vec::new()).notifies);
    assert_eq!(runs(&mut runtime, A, 3), [9, 1, 0]);
}
