//! Names of classes.

use std::path::Path;

use super::args::DatasetName;

const FASHION_MNIST: [&str; 10] = [
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];
const CIFAR_10: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Names of a set's classes; `class 0` and so on where they are not known.
pub fn names(dataset: DatasetName, folder: Option<&Path>, classes: usize) -> Vec<String> {
    let known: Vec<String> = match dataset {
        DatasetName::FashionMnist => FASHION_MNIST.map(String::from).to_vec(),
        DatasetName::Cifar10 => CIFAR_10.map(String::from).to_vec(),
        DatasetName::Cifar100 => {
            // It comes with the images.
            let list = folder.map(|folder| folder.join("cifar-100-binary/fine_label_names.txt"));
            let text = list.and_then(|list| std::fs::read_to_string(list).ok());
            let lines = text.iter().flat_map(|text| text.lines());
            let names = lines.map(|line| line.trim().to_string());
            names.filter(|name| !name.is_empty()).collect()
        }
        DatasetName::Folder => Vec::new(),
    };
    match known.len() == classes {
        true => known,
        false => (0..classes).map(|class| format!("class {class}")).collect(),
    }
}

/// The first of some names.
pub fn some(names: &[String]) -> String {
    let more = if names.len() > 5 { ", …" } else { "" };
    let first: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    first.join(", ") + more
}
