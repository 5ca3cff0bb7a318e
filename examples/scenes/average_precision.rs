//! How well boxes agree: COCO's average precision.
//!
//! Lin et al., "Microsoft COCO", ECCV 2014, by the rules of the authors' evaluation (pycocotools), for boxes of all sizes and no crowds.

use super::bounds::Bounds;
use super::scene::Item;

/// Overlaps from which on a detection is right: 0.5, 0.55, …, 0.95.
pub const OVERLAPS: usize = 10;
/// Recalls at which precision is read: 0, 0.01, …, 1.
const RECALLS: usize = 101;
/// Detections that count, of each class in a scene.
pub const MOST: usize = 100;

/// A box that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    pub class: usize,
    pub score: f64,
    pub bounds: Bounds,
}

/// Average precision at each overlap, the mean over the classes that occur; not a number if none does.
///
/// Detections are taken by falling score. Each takes the item of its class and scene that it overlaps most, of those that are left and overlap enough; it is
/// wrong if there is none. Precision at a recall is the best that is reached at it or beyond, 0 where it is not reached.
pub fn average_precision(
    scenes: &[(Vec<Item>, Vec<Detection>)],
    classes: usize,
) -> [f64; OVERLAPS] {
    let of_classes: Vec<_> = (0..classes)
        .filter_map(|class| of_class(scenes, class))
        .collect();
    let mean = |number: usize| {
        let sum: f64 = of_classes.iter().map(|precision| precision[number]).sum();
        sum / of_classes.len() as f64
    };
    std::array::from_fn(mean)
}

/// Average precision of a class; `None` if it does not occur.
fn of_class(scenes: &[(Vec<Item>, Vec<Detection>)], class: usize) -> Option<[f64; OVERLAPS]> {
    let mut items = 0;
    let mut found = Vec::new();
    for (right, detections) in scenes {
        let right: Vec<&Item> = right.iter().filter(|item| item.class == class).collect();
        let mut here: Vec<&Detection> =
            detections.iter().filter(|one| one.class == class).collect();
        // Equal scores keep their order, in a scene and between scenes.
        here.sort_by(|a, b| b.score.total_cmp(&a.score));
        here.truncate(MOST);
        items += right.len();
        let hits: [Vec<bool>; OVERLAPS] = std::array::from_fn(|number| {
            hits(&right, &here, evenly([0.5, 0.95], OVERLAPS, number))
        });
        let scored = here.iter().enumerate();
        found.extend(scored.map(|(i, one)| (one.score, hits.each_ref().map(|hits| hits[i]))));
    }
    if items == 0 {
        return None;
    }
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    Some(std::array::from_fn(|number| {
        let hits = found.iter().map(|(_, hits)| hits[number]);
        precision(hits, items)
    }))
}

/// The overlaps and recalls as NumPy computes them for the authors: shares that should be equal are equal to the bit.
fn evenly([from, to]: [f64; 2], count: usize, number: usize) -> f64 {
    match number + 1 == count {
        true => to,
        false => number as f64 * ((to - from) / (count - 1) as f64) + from,
    }
}

/// Which detections, by falling score, are right.
fn hits(items: &[&Item], detections: &[&Detection], threshold: f64) -> Vec<bool> {
    let mut left: Vec<bool> = vec![true; items.len()];
    let mut hit = |detection: &&Detection| {
        let mut best = (threshold.min(1.0 - 1e-10), None);
        for (number, item) in items.iter().enumerate() {
            let overlap = item.bounds.overlap(&detection.bounds);
            if left[number] && overlap >= best.0 {
                best = (overlap, Some(number));
            }
        }
        if let Some(number) = best.1 {
            left[number] = false;
        }
        best.1.is_some()
    };
    detections.iter().map(&mut hit).collect()
}

/// The mean over the recalls of the precision there.
fn precision(hits: impl Iterator<Item = bool>, items: usize) -> f64 {
    let mut right = 0;
    let mut curve: Vec<[f64; 2]> = Vec::new();
    for (before, hit) in hits.enumerate() {
        right += usize::from(hit);
        let precision = right as f64 / (before + 1) as f64;
        curve.push([right as f64 / items as f64, precision]);
    }
    for place in (1..curve.len()).rev() {
        curve[place - 1][1] = curve[place - 1][1].max(curve[place][1]);
    }
    let at = |number: usize| {
        let recall = evenly([0.0, 1.0], RECALLS, number);
        let place = curve.partition_point(|[reached, _]| *reached < recall);
        curve.get(place).map_or(0.0, |[_, precision]| *precision)
    };
    (0..RECALLS).map(at).sum::<f64>() / RECALLS as f64
}
