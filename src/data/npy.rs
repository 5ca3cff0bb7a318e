//! numpy's `.npy` files of whole numbers.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::error::{Error, Fault, Faulty, Result};

/// An open `.npy` file of whole numbers: unsigned bytes (`|u1`) or little-endian integers (`<i4`, `<i8`), in C order.
///
/// Only what is asked for is read, so a file may be larger than memory. Format versions 1.0 to 3.0.
///
/// ```
/// use zosam::data::Npy;
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("example.npy");
/// let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (3, 2), }\n";
/// let mut file = b"\x93NUMPY\x01\x00".to_vec();
/// file.extend((header.len() as u16).to_le_bytes());
/// file.extend(header);
/// file.extend([1, 2, 3, 4, 5, 6]);
/// std::fs::write(&path, file).unwrap();
///
/// let mut array = Npy::open(&path)?;
/// assert_eq!(array.shape(), [3, 2]);
/// assert_eq!(array.bytes(1..3)?, [3, 4, 5, 6]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug)]
pub struct Npy {
    path: PathBuf,
    file: BufReader<File>,
    /// Where the numbers begin.
    start: u64,
    kind: Kind,
    shape: Vec<usize>,
}

/// What a number is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Byte,
    Int32,
    Int64,
}

const EXPECTED: &str = "expected a .npy file (numpy.save) of uint8, or of int32 or int64 in little-endian order, in C order";

impl Kind {
    fn size(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }

    fn number(self, bytes: &[u8]) -> i64 {
        match self {
            Self::Byte => bytes[0].into(),
            Self::Int32 => i32::from_le_bytes(bytes.try_into().unwrap_or_default()).into(),
            Self::Int64 => i64::from_le_bytes(bytes.try_into().unwrap_or_default()),
        }
    }
}

impl Npy {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read, has another format or type, or its size is not what its shape says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let error = |fault: Fault| fault.expected(EXPECTED).in_file(path);
        let unreadable = |cause: std::io::Error| error(Fault::by("cannot be read")(cause));
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut file = BufReader::new(file);
        let header = header(&mut file).map_err(error)?;
        let (kind, shape) = parse(&header.text).map_err(error)?;
        let numbers = shape.iter().try_fold(kind.size() as u64, |product, size| {
            product.checked_mul(*size as u64)
        });
        if numbers.and_then(|bytes| bytes.checked_add(header.end)) != Some(length) {
            let found = length.saturating_sub(header.end);
            let size = kind.size();
            let reason = format!(
                "{found} bytes of numbers do not make the shape {shape:?} of {size} bytes each"
            );
            return Err(error(reason.into()));
        }
        Ok(Self {
            path: path.to_path_buf(),
            file,
            start: header.end,
            kind,
            shape,
        })
    }

    /// Sizes of the array's axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The bytes of some places along the first axis.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the array is not of bytes or has not that many places, or reading fails.
    pub fn bytes(&mut self, places: std::ops::Range<usize>) -> Result<Vec<u8>> {
        match self.kind {
            Kind::Byte => self.read(places),
            _ => Err(self.error("the numbers are not uint8, which is expected here".to_string())),
        }
    }

    /// The numbers of some places along the first axis.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the array has not that many places, or reading fails.
    pub fn numbers(&mut self, places: std::ops::Range<usize>) -> Result<Vec<i64>> {
        let bytes = self.read(places)?;
        let numbers = bytes.chunks_exact(self.kind.size());
        Ok(numbers.map(|bytes| self.kind.number(bytes)).collect())
    }

    fn read(&mut self, places: std::ops::Range<usize>) -> Result<Vec<u8>> {
        let first = self.shape.first().copied().unwrap_or(0);
        if places.start > places.end || places.end > first {
            let reason = format!(
                "places {places:?} were expected in the shape {:?}",
                self.shape
            );
            return Err(self.error(reason));
        }
        if places.is_empty() {
            return Ok(Vec::new());
        }
        // Neither overflows: the file has all these bytes.
        let size = self.kind.size() * self.shape[1..].iter().product::<usize>();
        let start = self.start + (places.start * size) as u64;
        let mut bytes = vec![0; places.len() * size];
        let read = self.file.seek(SeekFrom::Start(start));
        let read = read.and_then(|_| self.file.read_exact(&mut bytes));
        match read {
            Ok(()) => Ok(bytes),
            Err(error) => Err(self
                .error(format!("cannot be read; {EXPECTED}"))
                .caused_by(error)),
        }
    }

    /// An error about this file.
    pub(super) fn error(&self, reason: String) -> Error {
        Error::file(&self.path, reason)
    }
}

struct Header {
    text: String,
    /// Bytes before the numbers.
    end: u64,
}

/// The text that describes the array.
fn header(file: &mut impl Read) -> Faulty<Header> {
    let broken = Fault::by::<std::io::Error>("the header cannot be read");
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(broken)?;
    if start[..6] != *b"\x93NUMPY" {
        return Err("the file does not begin as a .npy file does".into());
    }
    let digits = match start[6] {
        1 => 2,
        2 | 3 => 4,
        version => return Err(format!("format version {version} is unknown").into()),
    };
    let mut length = [0; 4];
    file.read_exact(&mut length[..digits]).map_err(broken)?;
    let length = u32::from_le_bytes(length);
    // A header of an array of numbers is about a hundred bytes long.
    if length > 65_536 {
        return Err(format!("a header of {length} bytes").into());
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text).map_err(broken)?;
    Ok(Header {
        text: String::from_utf8_lossy(&text).into_owned(),
        end: 8 + digits as u64 + u64::from(length),
    })
}

/// Type and shape from the header, a Python dictionary.
fn parse(text: &str) -> Faulty<(Kind, Vec<usize>)> {
    let text: String = text.split_whitespace().collect();
    let value = |key: &str| {
        let start = text.find(&format!("'{key}':"))? + key.len() + 3;
        text.get(start..)
    };
    let missing = || format!("the header {text:?} does not describe such an array");
    let kind = match value("descr").and_then(|rest| rest.split('\'').nth(1)) {
        Some("|u1" | "u1") => Kind::Byte,
        Some("<i4") => Kind::Int32,
        Some("<i8") => Kind::Int64,
        _ => return Err(missing().into()),
    };
    if !value("fortran_order").is_some_and(|rest| rest.starts_with("False")) {
        return Err(missing().into());
    }
    let shape = value("shape")
        .and_then(|rest| rest.strip_prefix('('))
        .and_then(|rest| rest.split(')').next())
        .ok_or_else(missing)?;
    let sizes = shape.split(',').filter(|size| !size.is_empty());
    let sizes: std::result::Result<Vec<usize>, _> = sizes.map(str::parse).collect();
    match sizes {
        Ok(sizes) if !sizes.is_empty() => Ok((kind, sizes)),
        _ => Err(missing().into()),
    }
}
