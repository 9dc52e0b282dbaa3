//! Things made ahead by a thread of their own.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Things made in one pass, so that those who wait get theirs early.
const PASS: usize = 4;
/// A pool that ran empty grows up to this multiple of its size.
const GROWTH: usize = 4;
/// A pool that is more than half full is filled up only after this long without a take: the making must not
/// compete with the start that took the last one.
const QUIET: Duration = Duration::from_millis(25);
/// A grown pool shrinks after this long without a take.
const IDLE: Duration = Duration::from_secs(30);
/// After a failure nothing is tried for so long, unless somebody waits.
const REST: Duration = Duration::from_secs(1);

/// Makes things, at most as many as asked for.
pub(crate) trait Maker: Send + 'static {
    /// What is made.
    type Made: Send + 'static;

    /// Makes up to `count` of them, at least one.
    fn make(&mut self, count: usize) -> Result<Vec<Self::Made>>;

    /// Takes one back that nobody wanted.
    fn unmake(&mut self, surplus: Self::Made) {
        drop(surplus);
    }
}

/// A bounded stock of things, filled by a thread that ends with the pool.
pub(crate) struct Pool<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<T> {
    stock: Mutex<Stock<T>>,
    /// Told when somebody took, waits, or the pool ends.
    demand: Condvar,
    /// Told when something was made, or could not be.
    supply: Condvar,
}

struct Stock<T> {
    ready: VecDeque<T>,
    size: usize,
    target: usize,
    waiting: usize,
    last_take: Instant,
    /// Passes begun so far.
    begun: u64,
    /// The last pass that failed, and why.
    failure: Option<(u64, Arc<Error>)>,
    started: bool,
    ended: bool,
    /// The thread waits without a time limit: the next take must tell it.
    resting: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Stock<T>> {
        // A panic elsewhere leaves the stock whole: it is changed by single steps only.
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread does next.
enum Step {
    Make(usize),
    Shrink,
    Wait(Option<Duration>),
    End,
}

impl<T> Stock<T> {
    fn next(&self, rested: bool) -> Step {
        if self.ended {
            return Step::End;
        }
        let missing = (self.target + self.waiting).saturating_sub(self.ready.len());
        let quiet = self.last_take.elapsed();
        if self.waiting > self.ready.len() {
            return Step::Make(missing.min(PASS));
        }
        if !self.started {
            return Step::Wait(None);
        }
        if missing > 0 && !rested {
            return Step::Wait(Some(REST));
        }
        if missing > 0 && (self.ready.len() <= self.target / 2 || quiet >= QUIET) {
            return Step::Make(missing.min(PASS));
        }
        if missing > 0 {
            return Step::Wait(Some(QUIET.saturating_sub(quiet).max(Duration::from_millis(1))));
        }
        if self.target > self.size && quiet >= IDLE {
            return Step::Shrink;
        }
        Step::Wait((self.target > self.size).then(|| IDLE.saturating_sub(quiet).max(Duration::from_millis(1))))
    }
}

impl<T> Stock<T> {
    /// Whether the thread must be told of a take. To wake it each time would cost the taker more than the take.
    fn must_wake(&self) -> bool {
        self.resting || self.waiting > 0 || self.ready.len() <= self.target / 2
    }
}

impl<T: Send + 'static> Pool<T> {
    /// Starts the thread; it makes nothing before [`Pool::start`] or the first [`Pool::take`].
    pub(crate) fn open(name: &str, size: usize, maker: impl Maker<Made = T>) -> Result<Self> {
        let stock = Stock {
            ready: VecDeque::new(),
            size,
            target: size,
            waiting: 0,
            last_take: Instant::now(),
            begun: 0,
            failure: None,
            started: false,
            ended: false,
            resting: false,
        };
        let shared = Arc::new(Shared { stock: Mutex::new(stock), demand: Condvar::new(), supply: Condvar::new() });
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || fill(&shared, maker)
            })
            .map_err(|cause| Error::system("start a thread", cause))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Lets the filling begin.
    pub(crate) fn start(&self) {
        self.shared.lock().started = true;
        self.shared.demand.notify_one();
    }

    /// Takes the first thing that `fits`, if one is ready.
    pub(crate) fn pick(&self, fits: impl FnMut(&T) -> bool) -> Option<T> {
        let mut stock = self.shared.lock();
        let position = stock.ready.iter().position(fits)?;
        let found = stock.ready.remove(position);
        stock.last_take = Instant::now();
        let wake = stock.must_wake();
        drop(stock);
        if wake {
            self.shared.demand.notify_one();
        }
        found
    }

    /// Takes one; waits for it to be made where none is ready.
    pub(crate) fn take(&self) -> Result<T> {
        let mut stock = self.shared.lock();
        stock.started = true;
        stock.last_take = Instant::now();
        if stock.ready.is_empty() {
            stock.target = (stock.target * 2).min(stock.size * GROWTH).max(stock.size);
        }
        stock.waiting += 1;
        // What failed before we came is no answer: an address may have become free since.
        let begun = stock.begun;
        loop {
            if let Some(ready) = stock.ready.pop_front() {
                stock.waiting -= 1;
                let wake = stock.must_wake();
                drop(stock);
                if wake {
                    self.shared.demand.notify_one();
                }
                return Ok(ready);
            }
            if let Some((_, cause)) = stock.failure.as_ref().filter(|(pass, _)| *pass > begun) {
                let cause = Arc::clone(cause);
                stock.waiting -= 1;
                return Err(Error::Sandbox(cause));
            }
            self.shared.demand.notify_one();
            stock = self.shared.supply.wait(stock).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Pool<T> {
    /// Ends the thread and drops what is ready.
    fn end(&mut self) {
        self.shared.lock().ended = true;
        self.shared.demand.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook; there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stock = self.shared.lock();
        f.debug_struct("Pool").field("ready", &stock.ready.len()).field("target", &stock.target).finish()
    }
}

fn fill<M: Maker>(shared: &Shared<M::Made>, mut maker: M) {
    let mut failed_at: Option<Instant> = None;
    let mut stock = shared.lock();
    loop {
        let rested = failed_at.is_none_or(|at| at.elapsed() >= REST);
        match stock.next(rested) {
            Step::End => break,
            Step::Wait(None) => {
                stock.resting = true;
                stock = shared.demand.wait(stock).unwrap_or_else(PoisonError::into_inner);
                stock.resting = false;
            }
            Step::Wait(Some(time)) => {
                let waited = shared.demand.wait_timeout(stock, time);
                stock = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            Step::Shrink => {
                stock.target = stock.size;
                let surplus = stock.ready.len().saturating_sub(stock.size);
                let surplus: Vec<_> = stock.ready.drain(..surplus).collect();
                drop(stock);
                surplus.into_iter().for_each(|one| maker.unmake(one));
                stock = shared.lock();
            }
            Step::Make(count) => {
                stock.begun += 1;
                let pass = stock.begun;
                drop(stock);
                let made = maker.make(count);
                stock = shared.lock();
                match made {
                    Ok(made) => {
                        failed_at = None;
                        stock.ready.extend(made);
                    }
                    Err(error) => {
                        failed_at = Some(Instant::now());
                        stock.failure = Some((pass, Arc::new(error)));
                    }
                }
                shared.supply.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Makes numbers; fails while `broken`.
    struct Numbers {
        made: Arc<AtomicUsize>,
        unmade: Arc<AtomicUsize>,
        broken: Arc<AtomicUsize>,
    }

    impl Maker for Numbers {
        type Made = usize;

        fn make(&mut self, count: usize) -> Result<Vec<usize>> {
            if self.broken.load(Ordering::SeqCst) > 0 {
                return Err(Error::Config("broken".into()));
            }
            Ok((0..count).map(|_| self.made.fetch_add(1, Ordering::SeqCst)).collect())
        }

        fn unmake(&mut self, _surplus: usize) {
            self.unmade.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn numbers() -> Numbers {
        Numbers { made: Arc::default(), unmade: Arc::default(), broken: Arc::default() }
    }

    fn eventually(what: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while !what() && start.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        what()
    }

    #[test]
    fn nothing_is_made_before_the_start_and_no_more_than_asked_for() {
        let maker = numbers();
        let made = Arc::clone(&maker.made);
        let pool = Pool::open("numbers", 6, maker).expect("a pool");
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(made.load(Ordering::SeqCst), 0);
        pool.start();
        assert!(eventually(|| made.load(Ordering::SeqCst) == 6));
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(made.load(Ordering::SeqCst), 6);
        assert_eq!(pool.pick(|number| *number == 3), Some(3));
        assert_eq!(pool.take().expect("a number"), 0);
        assert!(eventually(|| made.load(Ordering::SeqCst) == 8), "filled up after a pause");
    }

    #[test]
    fn a_failure_reaches_those_who_wait_and_is_forgotten() {
        let maker = numbers();
        let broken = Arc::clone(&maker.broken);
        broken.store(1, Ordering::SeqCst);
        let pool = Pool::open("numbers", 0, maker).expect("a pool");
        for _ in 0..2 {
            assert!(matches!(pool.take(), Err(Error::Sandbox(cause)) if cause.to_string() == "broken"));
        }
        broken.store(0, Ordering::SeqCst);
        assert_eq!(pool.take().expect("a number"), 0);
    }

    #[test]
    fn everybody_gets_one_of_their_own() {
        let pool = Pool::open("numbers", 3, numbers()).expect("a pool");
        let mut taken: Vec<usize> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..32).map(|_| scope.spawn(|| pool.take().expect("a number"))).collect();
            takers.into_iter().map(|taker| taker.join().expect("thread")).collect()
        });
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), 32);
        assert!(pool.shared.lock().target <= 3 * GROWTH);
    }

    #[test]
    fn a_grown_pool_shrinks() {
        let maker = numbers();
        let unmade = Arc::clone(&maker.unmade);
        let pool = Pool::open("numbers", 2, maker).expect("a pool");
        pool.start();
        pool.shared.lock().target = 8;
        pool.shared.demand.notify_one();
        assert!(eventually(|| pool.shared.lock().ready.len() == 8));
        let long_ago = Instant::now().checked_sub(IDLE);
        pool.shared.lock().last_take = long_ago.unwrap_or_else(Instant::now);
        pool.shared.demand.notify_one();
        assert!(long_ago.is_none() || eventually(|| unmade.load(Ordering::SeqCst) == 6));
    }
}
