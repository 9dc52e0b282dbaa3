//! Wakes of a task by itself.
//!
//! The HTTP library hands a request's body to its route through a channel, inside one task: each piece wakes the task that is
//! just running. To tokio that is a task which wants another turn; it queues it, and wakes another worker that takes it. The client
//! would wait for another processor where nothing but the next poll is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// Polls in a row: a task that has still not come to rest lets others have their turn.
const POLLS: usize = 8;

/// Nobody polls; a wake is the task's.
const IDLE: u8 = 0;
/// Being polled, and not woken since.
const POLLED: u8 = 1;
/// To be polled once more.
const WOKEN: u8 = 2;

/// Polls something again at once if it was woken while it was polled.
#[derive(Debug)]
pub(crate) struct OwnWakes {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Shared {
    state: AtomicU8,
    task: AtomicWaker,
}

impl OwnWakes {
    pub(crate) fn new() -> Self {
        let shared = Arc::new(Shared::default());
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// Polls until it is ready or nothing has woken it; always the same thing, and from one task at a time.
    pub(crate) fn poll<T>(&self, cx: &mut Context<'_>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let Shared { state, task } = &*self.shared;
        // First: from the moment on that nobody polls, it is this waker that counts.
        task.register(cx.waker());
        for _ in 0..POLLS {
            // Takes part in the order of wakes: what they announced is to be seen by this poll.
            state.swap(POLLED, Ordering::AcqRel);
            let polled = poll(&mut Context::from_waker(&self.waker));
            let rests = state.compare_exchange(POLLED, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok();
            if polled.is_ready() || rests {
                return polled;
            }
        }
        state.store(IDLE, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == IDLE {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts wakes.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_wakes_itself_is_polled_again_and_its_task_sleeps_on() {
        let (own, counter) = (OwnWakes::new(), Arc::new(Counter::default()));
        let waker = Waker::from(Arc::clone(&counter));
        let mut cx = Context::from_waker(&waker);
        let (mut polls, mut kept) = (0, None);
        let poll = own.poll(&mut cx, |cx| {
            polls += 1;
            kept = Some(cx.waker().clone());
            if polls < 3 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(poll.is_pending());
        assert_eq!((polls, counter.0.load(Ordering::Relaxed)), (3, 0));
        // From now on it is the task that is to be woken, and once is enough.
        kept.iter().for_each(Waker::wake_by_ref);
        kept.iter().for_each(Waker::wake_by_ref);
        assert_eq!(counter.0.load(Ordering::Relaxed), 1);
        assert_eq!(own.poll(&mut cx, |_| Poll::Ready(5)), Poll::Ready(5));
    }

    #[test]
    fn what_never_rests_lets_others_have_their_turn() {
        let (own, counter) = (OwnWakes::new(), Arc::new(Counter::default()));
        let waker = Waker::from(Arc::clone(&counter));
        let mut polls = 0;
        let poll = own.poll(&mut Context::from_waker(&waker), |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(poll.is_pending());
        assert_eq!((polls, counter.0.load(Ordering::Relaxed)), (POLLS, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_from_elsewhere_is_lost() {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let sending = tokio::spawn(async move {
            for number in 0..20_000 {
                sender.send(number).await.unwrap();
            }
        });
        let own = OwnWakes::new();
        let mut next = 0;
        while let Some(number) = poll_fn(|cx| own.poll(cx, |cx| receiver.poll_recv(cx))).await {
            assert_eq!(number, next);
            next += 1;
        }
        sending.await.unwrap();
        assert_eq!(next, 20_000);
    }
}
