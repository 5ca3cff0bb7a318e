//! The parts of examples/scenes: average precision against pycocotools, networks against PyTorch's own layers, scenes and masks by closed forms.

#[path = "../../examples/scenes/average_precision.rs"]
mod average_precision;
#[path = "../../examples/scenes/bounds.rs"]
mod bounds;
#[path = "../../examples/common/embedded.rs"]
mod embedded;
#[path = "../../examples/scenes/mean_iou.rs"]
mod mean_iou;
#[path = "../../examples/scenes/networks/mod.rs"]
mod networks;
#[path = "../../examples/scenes/peaks.rs"]
mod peaks;
#[path = "../../examples/scenes/scene.rs"]
mod scene;
#[path = "../../examples/scenes/targets.rs"]
mod targets;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use zosam::objective::Objective;
use zosam::tree;

use crate::reference::{
    TOLERANCE, Tensors, assert_all_close, assert_close, numbers, read, torch_name, torch_tensors,
};
use average_precision::{Detection, average_precision};
use bounds::Bounds;
use mean_iou::Confusion;
use networks::{CLASSES, Detector, STRIDE, Segmenter};
use scene::{Item, SIDE, Scene};

#[derive(Deserialize)]
struct Boxes {
    /// Class, left, top, width, height.
    items: Vec<[f64; 5]>,
    /// Class, score, left, top, width, height.
    found: Vec<[f64; 6]>,
}

#[derive(Deserialize)]
struct Precision {
    scenes: Vec<Boxes>,
    expected: Vec<f64>,
}

#[derive(Deserialize)]
struct Network {
    losses: Vec<f32>,
    /// Every third of each.
    gradients: Tensors,
}

#[derive(Deserialize)]
struct Golden {
    precision: Precision,
    segmenter: Network,
    detector: Network,
}

fn bounds(left: f64, top: f64, width: f64, height: f64) -> Bounds {
    let (right, bottom) = (left + width, top + height);
    Bounds {
        left,
        top,
        right,
        bottom,
    }
}

fn item(class: usize, bounds: Bounds) -> Item {
    Item { class, bounds }
}

fn detection(class: usize, score: f64, bounds: Bounds) -> Detection {
    Detection {
        class,
        score,
        bounds,
    }
}

#[test]
fn average_precision_is_pycocotools() {
    let golden: Golden = read("scenes");
    let scenes = golden.precision.scenes.iter().map(|scene| {
        let items = scene.items.iter();
        let items = items.map(|[class, l, t, w, h]| item(*class as usize, bounds(*l, *t, *w, *h)));
        let found = scene.found.iter().map(|[class, score, l, t, w, h]| {
            detection(*class as usize, *score, bounds(*l, *t, *w, *h))
        });
        (items.collect(), found.collect())
    });
    let scenes: Vec<(Vec<Item>, Vec<Detection>)> = scenes.collect();
    let found = average_precision(&scenes, 4);
    for (found, expected) in found.iter().zip(&golden.precision.expected) {
        // Means of 303 numbers, summed in another order.
        assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
    }
}

#[test]
fn precision_at_its_ends_and_in_between() {
    let square = |at: usize| bounds(20.0 * at as f64, 0.0, 10.0, 10.0);
    let items: Vec<Item> = (0..4).map(|at| item(at % 2, square(at))).collect();
    let perfect: Vec<_> = (0..4)
        .map(|at| detection(at % 2, 0.9, square(at)))
        .collect();
    let of = |found: &[Detection]| average_precision(&[(items.clone(), found.to_vec())], 3);
    assert_eq!(of(&perfect), [1.0; 10]);
    assert_eq!(of(&[]), [0.0; 10]);
    // One of two items of each class: precision 1 at the recalls 0, 0.01, …, 0.5.
    for precision in of(&perfect[..2]) {
        assert!((precision - 51.0 / 101.0).abs() < 1e-12, "{precision}");
    }
    // A wrong box before the right ones, and one after them, which costs nothing.
    let wrong = |score| detection(0, score, square(9));
    let after = of(&[&perfect[..], &[wrong(0.1)]].concat());
    assert_eq!(after, [1.0; 10]);
    let before = of(&[&perfect[..], &[wrong(0.99)]].concat())[0];
    // Of class 0 precisions are 1/2 and 2/3, and the better one holds for both recalls.
    assert!((before - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-12, "{before}");
    // An overlap of 9 : 11 is enough up to 0.8.
    let moved = [detection(0, 1.0, bounds(1.0, 0.0, 10.0, 10.0))];
    let one = [(vec![item(0, square(0))], moved.to_vec())];
    let expected = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
    assert_eq!(average_precision(&one, 1), expected);
    assert!(average_precision(&[], 3)[0].is_nan());
}

#[test]
fn masks_agree_by_intersection_over_union() {
    let iou = |right: &[u8], found: &[u8]| {
        let mut confusion = Confusion::new(3);
        // Counts add up over scenes.
        confusion.count(&right[..2], &found[..2]);
        confusion.count(&right[2..], &found[2..]);
        [confusion.mean_iou(), confusion.accuracy()]
    };
    assert_eq!(iou(&[0, 1, 1, 2], &[0, 1, 1, 2]), [1.0, 1.0]);
    assert_eq!(iou(&[0, 0, 1, 1], &[1, 1, 0, 0]), [0.0, 0.0]);
    // Class 0: 1 of 3; class 1: 1 of 3; class 2 is nowhere.
    assert_eq!(iou(&[0, 0, 1, 1], &[0, 1, 1, 0]), [1.0 / 3.0, 0.5]);
    // Class 0: 2 of 3; class 1: 1 of 2; class 2: 0 of 1, as it was predicted.
    let [mean, accuracy] = iou(&[0, 0, 1, 1, 0], &[0, 0, 1, 0, 2]);
    assert!(
        (mean - (2.0 / 4.0 + 1.0 / 2.0) / 3.0).abs() < 1e-12,
        "{mean}"
    );
    assert_eq!(accuracy, 0.6);
}

fn some_scenes(count: usize, seed: u64) -> Vec<Scene> {
    scene::scenes(&embedded::embedded().unwrap().0, count, seed)
}

#[test]
fn scenes_depend_on_their_seed_alone() {
    let scenes = some_scenes(30, 1);
    assert_eq!(some_scenes(40, 1)[..30], scenes);
    assert_ne!(some_scenes(30, 2), scenes);
}

#[test]
fn boxes_are_those_of_the_masks() {
    let scenes = some_scenes(200, 3);
    let mut counts = [0; 5];
    for scene in &scenes {
        counts[scene.items.len()] += 1;
        let place = |at: usize| [(at % SIDE) as f64, (at / SIDE) as f64];
        let holds = |bounds: &Bounds, [x, y]: [f64; 2]| {
            bounds.left <= x && x < bounds.right && bounds.top <= y && y < bounds.bottom
        };
        let of_class = |class: usize| {
            let places = scene.mask.iter().enumerate();
            places.filter(move |(_, found)| usize::from(**found) == class + 1)
        };
        for item in &scene.items {
            let [x, y] = [item.bounds.width(), item.bounds.height()];
            assert!((1.0..=36.0).contains(&x) && (1.0..=36.0).contains(&y));
            // Each edge touches the item.
            let touches = |is_edge: &dyn Fn([f64; 2]) -> bool| {
                let mut places = of_class(item.class).map(|(at, _)| place(at));
                places.any(|at| holds(&item.bounds, at) && is_edge(at))
            };
            assert!(touches(&|[x, _]| x == item.bounds.left));
            assert!(touches(&|[x, _]| x == item.bounds.right - 1.0));
            assert!(touches(&|[_, y]| y == item.bounds.top));
            assert!(touches(&|[_, y]| y == item.bounds.bottom - 1.0));
        }
        for (at, class) in scene.mask.iter().enumerate() {
            let mut items = scene.items.iter();
            let is_covered = |item: &Item| {
                item.class + 1 == usize::from(*class) && holds(&item.bounds, place(at))
            };
            assert!(*class == 0 || items.any(is_covered));
        }
    }
    assert_eq!(counts[0], 0);
    assert!(counts[1..].iter().all(|count| *count > 10), "{counts:?}");
    let overlaps = scenes.iter().filter(|scene| {
        let items = &scene.items;
        let pairs = items.iter().enumerate();
        let mut pairs = pairs.flat_map(|(i, one)| items[i + 1..].iter().map(move |b| (one, b)));
        pairs.any(|(one, other)| one.bounds.overlap(&other.bounds) > 0.0)
    });
    assert!(overlaps.count() > 50);
}

/// A box that is moved, shrunk or grown by the radius overlaps with itself by 0.7 or more, and by 0.7 in one of the cases.
#[test]
fn a_radius_is_as_far_as_corners_may_move() {
    for (width, height) in [(10.0, 10.0), (18.0, 7.0), (3.0, 16.0)] {
        let r = targets::radius(width, height);
        let whole = bounds(0.0, 0.0, width, height);
        let overlaps = [
            bounds(r, r, width, height),
            bounds(r, r, width - 2.0 * r, height - 2.0 * r),
            bounds(-r, -r, width + 2.0 * r, height + 2.0 * r),
        ];
        let overlaps = overlaps.map(|other| whole.overlap(&other));
        let least = overlaps.into_iter().fold(1.0, f64::min);
        assert!((least - 0.7).abs() < 1e-9, "{overlaps:?}");
    }
}

#[test]
fn boxes_come_back_from_their_targets() {
    let scenes = some_scenes(100, 4);
    let side = SIDE / STRIDE;
    let mut all = Vec::new();
    for scene in &scenes {
        let centres = scene.items.iter().map(|item| {
            let [x, y] = item.bounds.centre().map(|at| at as usize / STRIDE);
            (x, y)
        });
        let mut centres: Vec<_> = centres.collect();
        centres.sort_unstable();
        // Of two items in a cell one is lost; two of a class that are neighbours are both largest, at 1.
        if centres.windows(2).any(|pair| pair[0] == pair[1]) {
            continue;
        }
        let mut output = targets::targets(&scene.items, STRIDE);
        let heat = CLASSES * side * side;
        assert_eq!(
            output[..heat].iter().filter(|heat| **heat == 1.0).count(),
            scene.items.len()
        );
        for heat in &mut output[..heat] {
            let share = heat.clamp(1e-4, 0.99);
            *heat = (share / (1.0 - share)).ln();
        }
        let found = peaks::peaks(&output, side, STRIDE);
        assert!(found.len() <= 100);
        let scored = found.iter().filter(|one| one.score > 0.98);
        assert_eq!(scored.count(), scene.items.len());
        all.push((scene.items.clone(), found));
    }
    assert!(all.len() > 80, "{}", all.len());
    // Sizes and offsets are halves of pixels, exact in f32.
    assert_eq!(average_precision(&all, CLASSES), [1.0; 10]);
}

const BATCH: usize = 2;
const PIXELS: usize = 16;
const WIDTH: usize = 2;

/// The weights of `make_scenes.py`.
fn with_numbers<M: Module>(model: M) -> M {
    let leaves = tree::leaves(&model);
    tree::replace(model, |id, old| {
        let leaf = leaves.iter().find(|leaf| leaf.id == id)?;
        let scale = if leaf.shape.len() > 1 { 0.4 } else { 0.2 };
        let centre = if leaf.path.ends_with("gamma") {
            1.0
        } else {
            0.0
        };
        let values = numbers(&torch_name(&leaf.path), leaf.len(), scale);
        let values: Vec<f32> = values.iter().map(|value| value + centre).collect();
        Some(Tensor::from_floats(values.as_slice(), &old.device()))
    })
}

fn check<M: Module>(model: M, expected: &Network, losses: impl Fn(&M) -> Tensor<1>) {
    let model = with_numbers(model);
    let found: Vec<f32> = losses(&tree::twin(&model))
        .into_data()
        .iter::<f32>()
        .collect();
    // Up to 36, in f32.
    assert_close("losses", &found, &expected.losses, 10.0 * TOLERANCE);
    let loss = |model: &M| losses(model).mean();
    let gradient = Objective::new(&model, loss, 0).gradient(None).vector;
    let gradients = torch_tensors(&model, &gradient).into_iter();
    let thinned = gradients.map(|(name, values)| {
        let values: Vec<f32> = values.into_iter().step_by(3).collect();
        (name, values)
    });
    assert_all_close(
        "gradients",
        &thinned.collect(),
        &expected.gradients,
        10.0 * TOLERANCE,
    );
}

fn pictures(device: &Device) -> Tensor<4> {
    let values = numbers("images", BATCH * PIXELS * PIXELS, 1.0);
    Tensor::from_data(TensorData::new(values, [BATCH, 1, PIXELS, PIXELS]), device)
}

#[test]
fn the_segmenters_losses_and_gradients_are_pytorchs() {
    let (device, plain) = (Device::flex().autodiff(), Device::flex());
    let golden: Golden = read("scenes");
    let classes = numbers("mask", BATCH * PIXELS * PIXELS, 1.0);
    let classes: Vec<i64> = classes.iter().map(|x| ((x + 1.0) * 5.5) as i64).collect();
    let masks = TensorData::new(classes, [BATCH, PIXELS, PIXELS]);
    let masks = Tensor::<3, Int>::from_data(masks, &plain);
    let images = pictures(&plain);
    check(
        Segmenter::new(WIDTH, 3, &device),
        &golden.segmenter,
        |model| model.losses(images.clone(), masks.clone()),
    );
    let logits = Segmenter::new(WIDTH, 3, &plain).logits(images.clone());
    assert_eq!(logits.dims(), [BATCH, 11, PIXELS, PIXELS]);
}

#[test]
fn the_detectors_losses_and_gradients_are_pytorchs() {
    let (device, plain) = (Device::flex().autodiff(), Device::flex());
    let golden: Golden = read("scenes");
    let side = PIXELS / STRIDE;
    let values = numbers("targets", BATCH * 15 * side * side, 0.4);
    let mut values: Vec<f32> = values.iter().map(|value| value + 0.4).collect();
    let at = |picture: usize, channel: usize, row: usize, column: usize| {
        ((picture * 15 + channel) * side + row) * side + column
    };
    for picture in 0..BATCH {
        values[at(picture, 14, 0, 0)..][..side * side].fill(0.0);
    }
    for (class, row, column) in [(3, 2, 5), (7, 6, 1)] {
        for (channel, value) in [
            (class, 1.0),
            (10, 4.0),
            (11, 3.0),
            (12, 0.25),
            (13, 0.75),
            (14, 1.0),
        ] {
            values[at(0, channel, row, column)] = value;
        }
    }
    let right = TensorData::new(values, [BATCH, 15, side, side]);
    let right = Tensor::<4>::from_data(right, &plain);
    let images = pictures(&plain);
    check(
        Detector::new(WIDTH, 3, &device),
        &golden.detector,
        |model| model.losses(images.clone(), right.clone()),
    );
    let output = Detector::new(WIDTH, 3, &plain).forward(images.clone());
    assert_eq!(output.dims(), [BATCH, 14, side, side]);
}
