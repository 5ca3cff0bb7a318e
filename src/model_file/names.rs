//! From burn's names and layout to PyTorch's and back.

use crate::tree::Leaf;

/// A float tensor of a model as PyTorch knows it.
pub(super) struct Slot {
    pub leaf: Leaf,
    /// PyTorch's name.
    pub name: String,
    /// The names of a tied weight's other places.
    pub tied: Vec<String>,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// Whether PyTorch's matrix is the transpose of burn's.
    transposed: bool,
}

impl Slot {
    pub fn new(leaf: Leaf) -> Self {
        let transposed = leaf.layer == "Linear" && leaf.shape.len() == 2;
        let mut shape = leaf.shape.clone();
        if transposed {
            shape.reverse();
        }
        Self {
            name: name(&leaf.path),
            tied: leaf.tied.iter().map(|path| name(path)).collect(),
            leaf,
            shape,
            transposed,
        }
    }

    /// The names of all places.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.name).chain(&self.tied)
    }

    /// From burn's order of elements to PyTorch's.
    pub fn export<T: Copy>(&self, elements: Vec<T>) -> Vec<T> {
        match (self.transposed, &self.leaf.shape[..]) {
            (true, [rows, columns]) => transpose(&elements, *rows, *columns),
            _ => elements,
        }
    }

    /// From PyTorch's order of elements to burn's.
    pub fn import<T: Copy>(&self, elements: Vec<T>) -> Vec<T> {
        match (self.transposed, &self.leaf.shape[..]) {
            (true, [rows, columns]) => transpose(&elements, *columns, *rows),
            _ => elements,
        }
    }
}

fn name(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((layer, "gamma")) => format!("{layer}.weight"),
        Some((layer, "beta")) => format!("{layer}.bias"),
        _ => match path {
            "gamma" => "weight".to_string(),
            "beta" => "bias".to_string(),
            path => path.to_string(),
        },
    }
}

fn transpose<T: Copy>(matrix: &[T], rows: usize, columns: usize) -> Vec<T> {
    let positions =
        (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
    positions.map(|position| matrix[position]).collect()
}
