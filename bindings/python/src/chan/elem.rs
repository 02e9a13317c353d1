//! What travels through a channel, and how it gets from Python into an element and back.
//!
//! The one thing to know: an element of a channel of objects is one **owned reference**. A [`Parcel`] holds it while
//! a call is under way: a send that fails gives it back, one that succeeds has given it away, perhaps to somebody
//! who has dropped it already. The other kinds are for channels that C code uses as well: plain bytes, copied.

use std::ffi::c_void;
use std::ptr;

use crate::raw::*;

/// What the elements of a channel are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Owned references to Python objects.
    Object,
    /// Signed integers of 1, 2, 4 or 8 bytes.
    Int,
    /// `float` or `double`.
    Float,
    /// So many bytes.
    Bytes,
    /// No bytes at all: `None`.
    Nothing,
    /// A timer's ticks: nanoseconds, as seconds. For receiving only.
    Seconds,
    /// Nothing, and for receiving only: the channel of a context.
    Done,
}

/// A kind and the size that its elements have.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    pub(crate) kind: Kind,
    pub(crate) size: usize,
}

impl Format {
    pub(crate) const OBJECT: Format = Format { kind: Kind::Object, size: size_of::<Object>() };
    pub(crate) const SECONDS: Format = Format { kind: Kind::Seconds, size: size_of::<i64>() };
    #[allow(dead_code, reason = "contexts use it")]
    pub(crate) const DONE: Format = Format { kind: Kind::Done, size: 0 };

    /// The argument `elem` of `Chan()`: `None` or `object`, `int`, `float`, or a number of bytes.
    ///
    /// # Safety
    /// `elem` is null or a live object.
    pub(crate) unsafe fn new(elem: Object) -> Py<Self> {
        // SAFETY: the caller's promise; built-in types.
        unsafe {
            if !given(elem) || elem == (&raw mut PyBaseObject_Type).cast() {
                Ok(Self::OBJECT)
            } else if elem == (&raw mut PyLong_Type).cast() {
                Ok(Self { kind: Kind::Int, size: 8 })
            } else if elem == (&raw mut PyFloat_Type).cast() {
                Ok(Self { kind: Kind::Float, size: 8 })
            } else if PyType_Check(elem) != 0 {
                Err(type_error("elem must be object, int, float, or a number of bytes"))
            } else {
                Self::bytes(elem)
            }
        }
    }

    /// The argument `elem` of `Chan.from_handle()`, for a channel with elements of `size` bytes: as for `Chan()`,
    /// where integers and floats may be of other sizes; or `bytes`.
    ///
    /// # Safety
    /// As for `new`.
    pub(crate) unsafe fn of(elem: Object, size: usize) -> Py<Self> {
        // SAFETY: the caller's promise; built-in types.
        unsafe {
            let kind = if !given(elem) || elem == (&raw mut PyBaseObject_Type).cast() {
                Kind::Object
            } else if elem == (&raw mut PyLong_Type).cast() {
                Kind::Int
            } else if elem == (&raw mut PyFloat_Type).cast() {
                Kind::Float
            } else if elem == (&raw mut PyBytes_Type).cast() {
                Kind::Bytes
            } else if PyType_Check(elem) != 0 {
                return Err(type_error("elem must be object, int, float, bytes, or a number of bytes"));
            } else {
                let format = Self::bytes(elem)?;
                if format.size != size {
                    let text = format!("the channel's elements have {size} bytes, not {}", format.size);
                    return Err(value_error(&text));
                }
                return Ok(format);
            };
            let fits = match kind {
                Kind::Object => size == size_of::<Object>(),
                Kind::Int => matches!(size, 1 | 2 | 4 | 8),
                Kind::Float => matches!(size, 4 | 8),
                _ => true,
            };
            match (size, fits) {
                // A channel of signals is one whatever it is called.
                (0, _) => Ok(Self { kind: Kind::Nothing, size }),
                (_, true) => Ok(Self { kind, size }),
                (_, false) => {
                    let text = format!(
                        "the channel's elements have {size} bytes: they cannot be that; try elem=bytes"
                    );
                    Err(value_error(&text))
                }
            }
        }
    }

    unsafe fn bytes(elem: Object) -> Py<Self> {
        // SAFETY: a live object.
        let size = unsafe { to_int(elem)? };
        match usize::try_from(size) {
            Ok(0) => Ok(Self { kind: Kind::Nothing, size: 0 }),
            Ok(size) => Ok(Self { kind: Kind::Bytes, size }),
            Err(_) => Err(value_error("an element cannot have less than 0 bytes")),
        }
    }

    /// Whether nobody but the runtime sends on such a channel and closes it.
    pub(crate) fn receive_only(self) -> bool {
        matches!(self.kind, Kind::Seconds | Kind::Done)
    }

    /// An element to send.
    ///
    /// # Safety
    /// `value` is a live object.
    #[inline]
    pub(crate) unsafe fn pack(self, value: Object) -> Py<Parcel> {
        if self.kind == Kind::Object {
            // SAFETY: the caller's promise.
            unsafe { Py_INCREF(value) };
            return Ok(Parcel { word: value as u64, bytes: ptr::null_mut() });
        }
        // SAFETY: the caller's promise.
        unsafe { self.pack_plain(value) }
    }

    unsafe fn pack_plain(self, value: Object) -> Py<Parcel> {
        // SAFETY: a live object.
        unsafe {
            match self.kind {
                Kind::Int => self.pack_int(to_int(value)?),
                Kind::Float => {
                    let number = PyFloat_AsDouble(value);
                    if number == -1.0 && !PyErr_Occurred().is_null() {
                        return Err(Raised);
                    }
                    let word =
                        if self.size == 4 { first(&(number as f32).to_ne_bytes()) } else { number.to_bits() };
                    Ok(Parcel { word, bytes: ptr::null_mut() })
                }
                Kind::Bytes => {
                    let bytes = Owned::new(PyBytes_FromObject(value))?;
                    let size = PyBytes_Size(bytes.as_ptr()) as usize;
                    if size != self.size {
                        return Err(value_error(&format!("an element has {} bytes, not {size}", self.size)));
                    }
                    Ok(Parcel { word: 0, bytes: bytes.into_ptr() })
                }
                Kind::Nothing if value == Py_None() => Ok(Parcel::EMPTY),
                Kind::Nothing => {
                    Err(type_error("the elements of this channel have no bytes: only None can be sent"))
                }
                Kind::Object | Kind::Seconds | Kind::Done => {
                    Err(type_error("this channel is for receiving only: the runtime sends on it"))
                }
            }
        }
    }

    fn pack_int(self, number: i64) -> Py<Parcel> {
        let bits = 8 * self.size as u32;
        if number << (64 - bits) >> (64 - bits) != number {
            // SAFETY: a built-in exception type.
            return Err(unsafe {
                raise(PyExc_OverflowError, &format!("{number} does not fit in {bits} bits"))
            });
        }
        let word = match self.size {
            1 => first(&(number as i8).to_ne_bytes()),
            2 => first(&(number as i16).to_ne_bytes()),
            4 => first(&(number as i32).to_ne_bytes()),
            _ => number as u64,
        };
        Ok(Parcel { word, bytes: ptr::null_mut() })
    }

    /// A place to receive an element in.
    #[inline]
    pub(crate) fn place(self) -> Py<Parcel> {
        if self.kind != Kind::Bytes {
            return Ok(Parcel::EMPTY);
        }
        // SAFETY: makes an object, whose bytes nobody reads before they are written.
        let bytes = unsafe { Owned::new(PyBytes_FromStringAndSize(ptr::null(), self.size as Py_ssize_t))? };
        Ok(Parcel { word: 0, bytes: bytes.into_ptr() })
    }
}

/// A word whose first bytes are these, whichever end of it comes first.
fn first(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

/// An element on its way. Used up by one of `sent`, `unsent`, `received`, `unused`.
#[repr(C)]
pub(crate) struct Parcel {
    word: u64,
    /// Of `Kind::Bytes`: the owned object that holds the element instead.
    bytes: Object,
}

impl Parcel {
    pub(crate) const EMPTY: Parcel = Parcel { word: 0, bytes: ptr::null_mut() };

    /// Where the element is, as long as the parcel stays where it is.
    #[inline(always)]
    pub(crate) fn elem(&mut self) -> *mut c_void {
        if self.bytes.is_null() {
            return (&raw mut self.word).cast();
        }
        // SAFETY: a bytes object of our own that nobody else has seen (a receive), or that is only read.
        unsafe { PyBytes_AsString(self.bytes).cast() }
    }

    /// The element was sent: it belongs to who has received it.
    #[inline(always)]
    pub(crate) fn sent(self) {
        self.unused();
    }

    /// The element was not sent.
    ///
    /// # Safety
    /// The parcel was packed with `format`.
    pub(crate) unsafe fn unsent(self, format: Format) {
        if format.kind == Kind::Object {
            // SAFETY: the reference that `pack` took.
            unsafe { Py_DECREF(self.word as Object) };
        }
        self.unused();
    }

    /// Nothing was received.
    #[inline(always)]
    pub(crate) fn unused(self) {
        if !self.bytes.is_null() {
            // SAFETY: owned.
            unsafe { Py_DECREF(self.bytes) };
        }
    }

    /// The element that was received, as an object.
    ///
    /// # Safety
    /// The parcel is a `format.place()`, and an element was received in it.
    #[inline(always)]
    pub(crate) unsafe fn received(self, format: Format) -> Py<Owned> {
        if format.kind == Kind::Object && self.word != 0 {
            // SAFETY: the element was an owned reference, and now is ours.
            return unsafe { Owned::new(self.word as Object) };
        }
        self.received_plain(format)
    }

    fn received_plain(self, format: Format) -> Py<Owned> {
        let bytes = self.word.to_ne_bytes();
        match (format.kind, format.size) {
            (Kind::Int, 1) => int(i8::from_ne_bytes([bytes[0]]).into()),
            (Kind::Int, 2) => int(i16::from_ne_bytes([bytes[0], bytes[1]]).into()),
            (Kind::Int, 4) => int(i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into()),
            (Kind::Int, _) => int(self.word as i64),
            (Kind::Float, 4) => float(f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into()),
            (Kind::Float, _) => float(f64::from_bits(self.word)),
            (Kind::Seconds, _) => float(self.word as i64 as f64 * 1e-9),
            // SAFETY: owned, and given away.
            (Kind::Bytes, _) => unsafe { Owned::new(self.bytes) },
            // An object that C code sent as NULL is nothing too.
            (Kind::Object | Kind::Nothing | Kind::Done, _) => Ok(none()),
        }
    }
}
