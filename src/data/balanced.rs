//! A few images of every class.

use super::plan::Plan;
use super::{Batch, Loader, random};
use crate::error::{Error, Result};

/// Draws `per_class` images of every class, without augmentation, as `parts` batches of disjoint classes.
///
/// Images are drawn without replacement, those of class 0 first. This is how GraSP's authors collect the data that
/// weights are scored on: ten images of each class of CIFAR-10, in two halves.
///
/// # Errors
///
/// If a class has too few images, there are fewer classes than parts, or an image cannot be read.
pub fn balanced(loader: &Loader, per_class: usize, parts: usize, seed: u64) -> Result<Vec<Batch>> {
    let images = loader.images();
    let classes = images.classes();
    let invalid = |field, value: String, valid| {
        Err(Error::Config {
            field,
            value,
            valid,
        })
    };
    if per_class == 0 {
        return invalid("per_class", "0".into(), "at least 1");
    }
    if parts == 0 || parts > classes {
        let valid = "at least 1 and at most the number of classes";
        return invalid("parts", format!("{parts}, of {classes} classes"), valid);
    }
    let mut drawn = vec![Vec::new(); classes];
    for index in random::order(seed, 0, images.len()) {
        let class = &mut drawn[images.label(index)];
        if class.len() < per_class {
            class.push(index);
        }
    }
    if let Some(class) = drawn.iter().position(|class| class.len() < per_class) {
        let found = drawn[class].len();
        let value = format!("{per_class}, but class {class} has {found} images");
        return invalid("per_class", value, "at most the images of each class");
    }
    let plain = |order: Vec<usize>| {
        let mut loader = loader.clone();
        loader.config = loader.config.plain();
        loader.config.batch_size = order.len();
        Plan {
            loader,
            epoch: 0,
            order,
        }
        .batch(0)
    };
    let part = |part: usize| part * classes / parts..(part + 1) * classes / parts;
    (0..parts)
        .map(|number| plain(drawn[part(number)].concat()))
        .collect()
}
