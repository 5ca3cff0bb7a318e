//! Augmentation with fixed draws against Pillow, torchvision and timm, through `make_augment.py`.

use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;
use zosam::data::{
    Filter, Images, Loader, LoaderConfig, Mix, OPERATIONS, Operation, Picture, RandomErasing,
    Rectangle, ResizedCrop, smooth_targets, soft_cross_entropy,
};

use crate::reference::read;

#[derive(Deserialize)]
struct OneOperation {
    operation: Operation,
    filter: Filter,
    shape: [usize; 3],
    result: String,
}

#[derive(Deserialize)]
struct Level {
    magnitude: f64,
    sign: f64,
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Jitter {
    steps: Vec<Operation>,
    shape: [usize; 3],
    result: String,
}

#[derive(Deserialize)]
struct Resized {
    shape: [usize; 3],
    part: [usize; 4],
    size: [usize; 2],
    filter: Filter,
    result: String,
}

/// Height, width, area or its share, aspect ratio, and the sides if they fit.
type Attempt = (usize, usize, f64, f64, Option<[usize; 2]>);

#[derive(Deserialize)]
struct CropSides {
    attempts: Vec<Attempt>,
    central: Vec<(usize, usize, [usize; 4])>,
}

#[derive(Deserialize)]
struct Mixed {
    lambda: f64,
    center: Option<[usize; 2]>,
    images: Vec<f32>,
    targets: Vec<f32>,
    loss: f32,
}

#[derive(Deserialize)]
struct Mixing {
    shape: [usize; 4],
    values: Vec<f32>,
    labels: Vec<i64>,
    cases: Vec<Mixed>,
}

#[derive(Deserialize)]
struct Golden {
    operations: Vec<OneOperation>,
    levels: Vec<Level>,
    color_jitters: Vec<Jitter>,
    resized_crops: Vec<Resized>,
    crop_sides: CropSides,
    erasing: Vec<Attempt>,
    mixing: Mixing,
    repeats: Vec<(usize, usize, Vec<usize>)>,
}

fn golden() -> Golden {
    read("augment")
}

/// The formula of `picture` in the script.
fn picture(shape: [usize; 3]) -> Picture {
    let [channels, height, width] = shape;
    let pixel = |at: usize| {
        let (c, y, x) = (at / (height * width), at / width % height, at % width);
        (20 + (85 * c + 11 * x * x + 7 * y + 3 * x * y) % 200) as u8
    };
    let pixels = (0..channels * height * width).map(pixel).collect();
    Picture::new(pixels, shape).unwrap()
}

fn hexadecimal(picture: &Picture) -> String {
    picture
        .pixels()
        .iter()
        .map(|p| format!("{p:02x}"))
        .collect()
}

fn rectangle([top, left, height, width]: [usize; 4]) -> Rectangle {
    Rectangle {
        top,
        left,
        height,
        width,
    }
}

#[test]
fn operations_make_the_same_pixels_as_timm() {
    for case in golden().operations {
        let channels = case.shape[0];
        let fill = &[10, 128, 250][..channels];
        let result = case
            .operation
            .apply(&picture(case.shape), case.filter, fill);
        let name = format!("{:?} {:?} {:?}", case.operation, case.filter, case.shape);
        assert_eq!(hexadecimal(&result), case.result, "{name}");
    }
}

#[test]
fn levels_mean_what_they_mean_in_timm() {
    for case in golden().levels {
        let operations = OPERATIONS.map(|at| at(case.magnitude / 10.0, case.sign));
        assert_eq!(operations[..], case.operations);
    }
}

#[test]
fn color_jitter_makes_the_same_pixels_as_torchvision() {
    for case in golden().color_jitters {
        let steps = case.steps.iter();
        let result = steps.fold(picture(case.shape), |picture, step| {
            step.apply(&picture, Filter::Bicubic, &[])
        });
        assert_eq!(hexadecimal(&result), case.result, "{:?}", case.steps);
    }
}

#[test]
fn resized_crops_have_the_same_pixels_as_torchvisions() {
    for case in golden().resized_crops {
        let part = picture(case.shape).cropped(rectangle(case.part));
        let result = part.resized(case.size, case.filter);
        let name = format!("{:?} {:?} {:?}", case.part, case.size, case.filter);
        assert_eq!(hexadecimal(&result), case.result, "{name}");
    }
}

#[test]
fn parts_have_the_same_sides_as_torchvisions() {
    let CropSides { attempts, central } = golden().crop_sides;
    for (height, width, share, aspect, sides) in attempts {
        let found = ResizedCrop::sides(share, aspect, [height, width]);
        assert_eq!(found, sides, "{height} × {width}, {share}, {aspect}");
    }
    for (height, width, part) in central {
        let found = ResizedCrop::default().central([height, width]);
        assert_eq!(found, rectangle(part), "{height} × {width}");
    }
}

#[test]
fn erased_rectangles_have_the_same_sides_as_timms() {
    for (height, width, area, aspect, sides) in golden().erasing {
        let found = RandomErasing::sides(area, aspect, [height, width]);
        assert_eq!(found, sides, "{height} × {width}, {area}, {aspect}");
    }
}

#[test]
fn mixed_images_and_targets_are_timms() {
    let Mixing {
        shape,
        values,
        labels,
        cases,
    } = golden().mixing;
    for case in cases {
        let lambda = case.lambda;
        let mix = case.center.map_or(Mix::Mixup { lambda }, |center| {
            Mix::cut(lambda, center, [shape[2], shape[3]])
        });
        let mut images = values.clone();
        mix.apply(&mut images, shape);
        assert_eq!(images, case.images, "{mix:?}");
        let mut targets = smooth_targets(&labels, 3, 0.1);
        mix.mix_targets(&mut targets, 3);
        assert_eq!(targets, case.targets, "{mix:?}");

        let device = Device::flex();
        let tensor = |values: &[f32]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [4, 3]), &device)
        };
        let loss = soft_cross_entropy(tensor(&values[..12]), tensor(&targets));
        let loss: f32 = loss.into_scalar();
        // Logarithms and sums of order 1, in another order.
        assert!((loss - case.loss).abs() < 1e-6, "{loss}, {}", case.loss);
    }
}

#[test]
fn repeats_are_those_of_the_sampler_of_deit() {
    for (count, repeats, expected) in golden().repeats {
        let images = Images::new("set", vec![0; count], vec![0; count], [1, 1, 1], 1).unwrap();
        let config = LoaderConfig {
            repeats,
            batch_size: 4,
            ..LoaderConfig::evaluation()
        };
        let loader = Loader::new(images, config).unwrap();
        let shown: Vec<_> = loader
            .epoch(0, 0)
            .flat_map(|batch| batch.unwrap().indices)
            .collect();
        assert_eq!(shown, expected);
    }
}
