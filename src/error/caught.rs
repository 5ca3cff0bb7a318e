//! burn panics where it refuses something; here that becomes a value.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls something, or returns what it said when it panicked.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("it panicked without words").to_string()
    })
}
