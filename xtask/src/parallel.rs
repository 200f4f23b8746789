//! As many threads as there are processors, for things that do not wait for each other.

use std::sync::{mpsc, Mutex};
use std::thread::{self, available_parallelism};

/// Does `work` for each of `items`. What comes of it is handed to `heard`, in the order in which it
/// is done, on the thread that called.
pub fn each<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
    mut heard: impl FnMut(R),
) {
    let waiting = Mutex::new(items.into_iter());
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            let (sender, waiting, work) = (sender.clone(), &waiting, &work);
            scope.spawn(move || loop {
                let next = waiting
                    .lock()
                    .expect("no thread panics while it takes the next item")
                    .next();
                let Some(item) = next else { break };
                if sender.send(work(item)).is_err() {
                    break;
                }
            });
        }
        drop(sender);
        receiver.into_iter().for_each(&mut heard);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once() {
        let mut heard = Vec::new();
        each((0..100).collect(), |n| n * 2, |n| heard.push(n));
        heard.sort();
        assert_eq!(heard, (0..100).map(|n| n * 2).collect::<Vec<_>>());
    }

    #[test]
    #[should_panic(expected = "scoped thread panicked")]
    fn a_panic_of_the_work_is_not_lost() {
        each(vec![1], |_: i32| -> i32 { panic!("on purpose") }, |_| {});
    }
}
