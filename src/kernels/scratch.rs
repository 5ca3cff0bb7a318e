//! Working memory of a task, kept per thread between calls, and outputs that tasks share.

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

#[cfg(feature = "flex")]
use crate::error::Result;

thread_local! {
    static MEMORY: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// A cache line of numbers.
const LINE: usize = 16;

/// Zeroed memory that goes back to its thread when dropped.
///
/// It stays with the thread because a fresh allocation of this size costs a page fault per 4 kB on
/// every call.
pub(crate) struct Scratch(Vec<f32>);

impl Scratch {
    /// `N` arrays that start at cache lines; taken twice on a thread, the second allocates.
    pub(crate) fn take<const N: usize>(lengths: [usize; N]) -> (Self, [Range<usize>; N]) {
        let mut memory = MEMORY.take();
        memory.clear();
        memory.resize(
            lengths
                .iter()
                .map(|n| n.next_multiple_of(LINE))
                .sum::<usize>()
                + LINE,
            0.0,
        );
        let mut start = memory.as_ptr().align_offset(64).min(LINE);
        let ranges = lengths.map(|length| {
            let range = start..start + length;
            start += length.next_multiple_of(LINE);
            range
        });
        (Self(memory), ranges)
    }

    pub(crate) fn arrays<const N: usize>(&mut self, ranges: [Range<usize>; N]) -> [&mut [f32]; N] {
        let (mut rest, mut at) = (&mut self.0[..], 0);
        ranges.map(|range| {
            let (array, tail) =
                std::mem::take(&mut rest)[range.start - at..].split_at_mut(range.len());
            (rest, at) = (tail, range.end);
            array
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A thread that is ending has no memory to give back to.
        let _ = MEMORY.try_with(|memory| memory.replace(std::mem::take(&mut self.0)));
    }
}

/// An output that tasks write at places that no two of them share.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: a `Shared` is only a pointer; whoever writes through it promises that no other task
// touches the same place.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(slice: &mut [f32]) -> Self {
        Self(slice.as_mut_ptr())
    }

    pub(crate) fn of(places: &mut [Place]) -> Self {
        Self(places.as_mut_ptr().cast())
    }

    pub(crate) fn pointer(self) -> *mut f32 {
        self.0
    }
}

/// Where a number is going to be.
pub(crate) type Place = MaybeUninit<f32>;

/// The places of a slice.
///
/// # Safety
/// Whoever gets them writes numbers there, and nothing that is not initialised: the slice goes on
/// being one of numbers.
pub(crate) unsafe fn places(slice: &mut [f32]) -> &mut [Place] {
    // SAFETY: the same memory, length and lifetime; that numbers stay numbers is the caller's part.
    unsafe { std::slice::from_raw_parts_mut(slice.as_mut_ptr().cast(), slice.len()) }
}

/// The vector that `write` writes, in memory that is not cleared first: clearing outputs took a
/// seventh of a training step.
///
/// # Safety
/// `write` writes every place, or fails.
#[cfg(feature = "flex")]
pub(crate) unsafe fn written(
    count: usize,
    write: impl FnOnce(&mut [Place]) -> Result<()>,
) -> Result<Vec<f32>> {
    let mut numbers = Vec::with_capacity(count);
    write(&mut numbers.spare_capacity_mut()[..count])?;
    // SAFETY: the capacity is at least `count`, and the caller vouches that all places are written.
    unsafe { numbers.set_len(count) };
    Ok(numbers)
}

/// Multiply-adds below which waking a second thread takes longer than it saves: some 100 µs of one
/// core. Measured with two threads on single images of ten networks (`docs/PERFORMANCE.md`): a
/// fourth of it makes some of them slower than one thread is, four times of it leaves others alone
/// that gain.
const ALONE: usize = 1 << 22;

/// The fewest items of a task, where each takes about so many multiply-adds, for `with_min_len`.
///
/// Whoever is not one of rayon's threads waits for one of them as soon as work is split, also into
/// two small halves and also if there is but one thread: a dense layer of 256 × 256 at one position
/// took 100 µs instead of 8, one of 128 × 128 11 instead of 2.7.
pub(crate) fn fewest(work: usize) -> usize {
    match rayon::current_num_threads() {
        1 => usize::MAX,
        _ => ALONE.div_ceil(work.max(1)),
    }
}

/// [`tasks`] of products of so many multiply-adds: one, where they are few.
pub(crate) fn tasks_of(
    work: usize,
    items: usize,
    rows: usize,
) -> Vec<(Range<usize>, Range<usize>)> {
    match work < ALONE {
        true => vec![(0..items, 0..rows)],
        false => tasks(items, rows),
    }
}

/// Splits `items × rows` into tasks for the threads at hand: by items, and by rows too where items
/// are few.
pub(crate) fn tasks(items: usize, rows: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let threads = rayon::current_num_threads();
    if threads == 1 {
        return vec![(0..items, 0..rows)];
    }
    let by_items = items.min(4 * threads);
    let by_rows = match by_items >= 2 * threads {
        true => 1,
        false => threads.div_ceil(by_items.max(1)).min(rows.max(1)),
    };
    let cut =
        |total: usize, parts: usize, part: usize| total * part / parts..total * (part + 1) / parts;
    (0..by_items * by_rows)
        .map(|task| {
            (
                cut(items, by_items, task / by_rows),
                cut(rows, by_rows, task % by_rows),
            )
        })
        .collect()
}
