//! Constants as tensors of a file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, View};

use super::{LIVE, VALUES};
use crate::inference::graph::{Data, Id};

/// A tensor as it is written.
pub(super) struct Stored {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Vec<u8>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// The tensors of a constant, in the way that takes fewer bytes.
pub(super) fn stored(id: Id, data: &Data) -> Vec<(String, Stored)> {
    let numbers = match data {
        Data::Int(numbers) => {
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
            return vec![(
                id.to_string(),
                array(Dtype::I32, numbers.len(), bytes.collect()),
            )];
        }
        Data::Float(numbers) => numbers,
    };
    let is_live = |number: &&f32| number.to_bits() != 0;
    let count = numbers.iter().filter(is_live).count();
    let bytes = |numbers: &[f32]| {
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    };
    if numbers.len().div_ceil(8) + 4 * count >= 4 * numbers.len() {
        return vec![(
            id.to_string(),
            array(Dtype::F32, numbers.len(), bytes(numbers)),
        )];
    }
    let byte = |numbers: &[f32]| {
        let bits = numbers.iter().enumerate();
        bits.fold(0, |byte, (bit, number)| {
            byte | u8::from(is_live(&number)) << bit
        })
    };
    let live: Vec<u8> = numbers.chunks(8).map(byte).collect();
    let values: Vec<f32> = numbers.iter().filter(is_live).copied().collect();
    vec![
        (format!("{id}{LIVE}"), array(Dtype::U8, live.len(), live)),
        (
            format!("{id}{VALUES}"),
            array(Dtype::F32, count, bytes(&values)),
        ),
    ]
}

fn array(dtype: Dtype, count: usize, data: Vec<u8>) -> Stored {
    Stored {
        dtype,
        shape: vec![count],
        data,
    }
}

/// The constants of a file whose tensors have so many numbers each.
pub(super) fn constants(
    file: &SafeTensors<'_>,
    count: impl Fn(Id) -> Option<usize>,
) -> Result<BTreeMap<Id, Data>, String> {
    let mut constants = BTreeMap::new();
    for (name, view) in file.iter() {
        let stem = name.strip_suffix(VALUES).unwrap_or(name);
        if stem.ends_with(LIVE) {
            continue;
        }
        let unknown = || format!("tensor `{name}` is none of the graph's");
        let id: Id = stem.parse().map_err(|_| unknown())?;
        let count = count(id)
            .filter(|_| id.to_string() == stem)
            .ok_or_else(unknown)?;
        let data = match stem == name {
            true => plain(name, &view, count)?,
            false => {
                let live = format!("{stem}{LIVE}");
                let bits = file
                    .tensor(&live)
                    .map_err(|_| format!("it has no tensor `{live}`"))?;
                Data::Float(spread(name, &bits, &view, count)?)
            }
        };
        if constants.insert(id, data).is_some() {
            return Err(format!("it has the numbers of tensor {id} twice"));
        }
    }
    let pairs = file.iter().filter(|(name, _)| name.ends_with(LIVE)).count();
    let spread = file
        .iter()
        .filter(|(name, _)| name.ends_with(VALUES))
        .count();
    match pairs == spread {
        true => Ok(constants),
        false => Err("it has bits without values".to_string()),
    }
}

fn plain(name: &str, view: &TensorView<'_>, count: usize) -> Result<Data, String> {
    if view.shape() != [count] {
        return Err(format!(
            "tensor `{name}` has shape {:?}, not [{count}]",
            view.shape()
        ));
    }
    match view.dtype() {
        Dtype::F32 => Ok(Data::Float(floats(view.data()))),
        Dtype::I32 => {
            let numbers = view.data().as_chunks::<4>().0.iter();
            Ok(Data::Int(
                numbers.map(|bytes| i32::from_le_bytes(*bytes)).collect(),
            ))
        }
        other => Err(format!("tensor `{name}` has the type {other:?}")),
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.as_chunks::<4>().0.iter();
    numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Numbers where their bits say, zeros elsewhere.
fn spread(
    name: &str,
    bits: &TensorView<'_>,
    values: &TensorView<'_>,
    count: usize,
) -> Result<Vec<f32>, String> {
    let types = (bits.dtype(), values.dtype());
    let (live, numbers) = (bits.data(), floats(values.data()));
    if types != (Dtype::U8, Dtype::F32) || live.len() != count.div_ceil(8) {
        return Err(format!("tensor `{name}` is no part of {count} numbers"));
    }
    let ones: usize = live.iter().map(|byte| byte.count_ones() as usize).sum();
    let behind = live
        .last()
        .map_or(0, |last| last.checked_shr((count % 8) as u32).unwrap_or(0));
    if ones != numbers.len() || (!count.is_multiple_of(8) && behind != 0) {
        return Err(format!(
            "tensor `{name}` has {} values for {ones} bits",
            numbers.len()
        ));
    }
    let mut numbers = numbers.into_iter();
    let is_live = |at: usize| live[at / 8] >> (at % 8) & 1 == 1;
    let number = |at| {
        if is_live(at) {
            numbers.next().unwrap_or(0.0)
        } else {
            0.0
        }
    };
    Ok((0..count).map(number).collect())
}
