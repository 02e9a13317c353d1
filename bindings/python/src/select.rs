//! `select`: choose one of several channel operations.
//!
//! The one thing to know: the arguments are turned into `gort_case_t`s in place, on the stack for up to eight of them,
//! and one call of the C library decides. What each case brings along is a parcel, as for a single send or receive;
//! at the end the chosen one was sent or received, and all others take back what they have.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use crate::block;
use crate::chan::{CHAN, Chan, Guest, Parcel, SEND_CHAN, aside, target};
use crate::errors::{CLOSED, raise_status};
use crate::gort::{self, EAGAIN, ECLOSED, FOREVER, gort_case_t};
use crate::raw::*;

static CASE: Global = Global::new();
/// `(-1, None, False)`: none was ready.
static NONE_READY: Global = Global::new();

/// Up to here a select needs no memory.
const SMALL: usize = 8;
/// What the C library takes.
const MOST: usize = 65536;

/// `gort.Case`: what `on_recv` and `on_send` return. Never changes.
#[repr(C)]
struct Case {
    head: PyObject,
    /// A `Chan`, owned.
    chan: Object,
    /// What to send, owned; null: receive.
    value: Object,
}

/// A case that receives from `chan`, or sends `value` on it.
///
/// # Safety
/// `value` is live.
pub(crate) unsafe fn case(chan: &Chan, value: Option<Object>) -> Py<Owned> {
    // SAFETY: the type is made for `Case`s; the object is new.
    unsafe {
        let case = allocate::<Case>(CASE.type_ptr())?.as_ptr();
        (*case).chan = Owned::borrow(chan.object()).into_ptr();
        (*case).value = value.map_or(ptr::null_mut(), |value| Owned::borrow(value).into_ptr());
        Owned::new(case.cast())
    }
}

unsafe extern "C" fn case_dealloc(object: Object) {
    // SAFETY: the object is at its end, and nobody else has it.
    unsafe {
        PyObject_GC_UnTrack(object.cast());
        let case: *mut Case = object.cast();
        Py_XDECREF((*case).chan);
        Py_XDECREF((*case).value);
        free(object);
    }
}

unsafe extern "C" fn case_traverse(object: Object, visit: visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by the collector, which holds the GIL.
    unsafe {
        let case: *mut Case = object.cast();
        for reference in [Py_TYPE(object).cast(), (*case).chan, (*case).value] {
            if !reference.is_null() {
                match visit(reference, arg) {
                    0 => {}
                    stop => return stop,
                }
            }
        }
        0
    }
}

unsafe extern "C" fn case_repr(object: Object) -> Object {
    // SAFETY: called by Python with a `Case`.
    returned(|| unsafe {
        let case: *mut Case = object.cast();
        let chan = Owned::new(PyObject_Repr((*case).chan))?;
        let chan = text(chan.as_ptr())?;
        if (*case).value.is_null() {
            return string(&format!("{chan}.on_recv()"));
        }
        let value = Owned::new(PyObject_Repr((*case).value))?;
        string(&format!("{chan}.on_send({})", text(value.as_ptr())?))
    })
}

/// The cases of one select, in memory that somebody else keeps: on the stack, or in an operation of an event loop. The
/// channels are borrowed from the arguments.
pub(crate) struct Cases {
    cases: *mut gort_case_t,
    parcels: *mut Parcel,
    /// Null for a case that is never ready.
    chans: *mut *const Chan,
    /// So many are there.
    len: usize,
}

/// Room for many cases.
pub(crate) struct Room {
    cases: Vec<gort_case_t>,
    parcels: Vec<Parcel>,
    chans: Vec<*const Chan>,
}

impl Room {
    pub(crate) fn new(count: usize) -> Py<Self> {
        if count > MOST {
            return Err(value_error("select takes at most 65536 cases"));
        }
        let (cases, parcels) = (Vec::with_capacity(count), Vec::with_capacity(count));
        Ok(Self { cases, parcels, chans: Vec::with_capacity(count) })
    }

    /// # Safety
    /// The room outlives what is returned.
    pub(crate) unsafe fn cases(&mut self) -> Cases {
        // SAFETY: the caller's promise: the vectors are never touched again, so that their memory stays in place.
        unsafe { Cases::new(self.cases.as_mut_ptr(), self.parcels.as_mut_ptr(), self.chans.as_mut_ptr()) }
    }
}

impl Cases {
    /// # Safety
    /// There is room, and it stays where it is as long as the cases are used.
    pub(crate) unsafe fn new(cases: *mut gort_case_t, parcels: *mut Parcel, chans: *mut *const Chan) -> Self {
        Self { cases, parcels, chans, len: 0 }
    }

    /// Add what an argument of `select` says.
    ///
    /// # Safety
    /// `argument` is live, and stays so as long as the cases are used; there is room.
    #[inline]
    pub(crate) unsafe fn add(&mut self, argument: Object) -> Py<()> {
        // SAFETY: the caller's promise; the type says what the object is.
        unsafe {
            let class = Py_TYPE(argument);
            if class == CHAN.type_ptr() {
                return self.push(Some(Chan::of(argument)), ptr::null_mut());
            }
            if class == CASE.type_ptr() {
                let case: *mut Case = argument.cast();
                return self.push(Some(Chan::of((*case).chan)), (*case).value);
            }
            if argument == Py_None() {
                return self.push(None, ptr::null_mut());
            }
            if PyTuple_Check(argument) != 0 && PyTuple_GET_SIZE(argument) == 2 {
                let (chan, value) = (PyTuple_GET_ITEM(argument, 0), PyTuple_GET_ITEM(argument, 1));
                if chan == Py_None() {
                    return self.push(None, ptr::null_mut());
                }
                if Py_TYPE(chan) == CHAN.type_ptr() || Py_TYPE(chan) == SEND_CHAN.type_ptr() {
                    return self.push(target(chan), value);
                }
            } else if class != SEND_CHAN.type_ptr()
                && let Some(chan) = target(argument)
            {
                return self.push(Some(chan), ptr::null_mut());
            }
            Err(self.not_a_case(argument))
        }
    }

    /// Null for `value`: receive.
    #[inline]
    unsafe fn push(&mut self, chan: Option<&Chan>, value: Object) -> Py<()> {
        // SAFETY: there is room, and the parcel stays in its place, as the callers promise.
        unsafe {
            let parcel = match chan {
                None => Parcel::EMPTY,
                Some(chan) if value.is_null() => chan.format.place()?,
                Some(chan) => chan.format.pack(value)?,
            };
            let place = self.parcels.add(self.len);
            place.write(parcel);
            self.cases.add(self.len).write(gort_case_t {
                chan: chan.map_or(ptr::null_mut(), |chan| chan.ch),
                elem: (*place).elem(),
                op: if value.is_null() { gort::RECV } else { gort::SEND },
                status: 0,
            });
            self.chans.add(self.len).write(chan.map_or(ptr::null(), ptr::from_ref));
        }
        self.len += 1;
        Ok(())
    }

    #[cold]
    unsafe fn not_a_case(&self, argument: Object) -> Raised {
        // SAFETY: a live object; a type's name is a text that lives as long as the type.
        let name = unsafe { std::ffi::CStr::from_ptr((*Py_TYPE(argument)).tp_name) }.to_string_lossy();
        type_error(&format!(
            "case {} of a select is a {name}: it must be a channel to receive from, (channel, value) to send, \
             on_recv(), on_send(value), or None",
            self.len
        ))
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut gort_case_t {
        self.cases
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The channels, without those that are `None`.
    ///
    /// # Safety
    /// They are alive for `'a`, as the arguments are.
    pub(crate) unsafe fn chans<'a>(&self) -> impl Iterator<Item = &'a Chan> + use<'a> {
        // SAFETY: so many were written.
        let (first, len) = (self.chans, self.len);
        // SAFETY: as above; and the caller's promise.
        (0..len).filter_map(move |index| unsafe { (*first.add(index)).as_ref() })
    }

    /// Case `index` was carried out: what the select returns; all other parcels are used up.
    ///
    /// # Safety
    /// The C library says that it was; called once.
    #[inline]
    pub(crate) unsafe fn carried_out(&mut self, index: usize) -> Py<Owned> {
        // SAFETY: the case was written, and nobody changes it any more.
        unsafe {
            let case = *self.cases.add(index);
            let format = (**self.chans.add(index)).format;
            let parcel = self.parcels.add(index).read();
            let received = match (case.op, case.status) {
                (gort::RECV, ECLOSED) => {
                    parcel.unused();
                    Ok(None)
                }
                (gort::RECV, _) => parcel.received(format).map(Some),
                (_, ECLOSED) => {
                    let raised = raise(CLOSED.get(), "send on a closed channel");
                    aside(|| parcel.unsent(format));
                    Err(raised)
                }
                _ => {
                    parcel.sent();
                    Ok(Some(none()))
                }
            };
            if self.len > 1 {
                if received.is_err() {
                    aside(|| self.give_back(Some(index)))
                } else {
                    self.give_back(Some(index))
                }
            }
            let received = received?;
            let ok = boolean(received.is_some());
            tuple([int(index as i64)?, received.unwrap_or_else(none), ok])
        }
    }

    /// None was carried out, or only that one: all other parcels are used up.
    ///
    /// # Safety
    /// The C library is through with them; called once. No exception is set, or it is put aside.
    #[inline]
    pub(crate) unsafe fn give_back(&mut self, but: Option<usize>) {
        for index in 0..self.len {
            if Some(index) == but {
                continue;
            }
            // SAFETY: written, and read once.
            unsafe {
                let parcel = self.parcels.add(index).read();
                match (*self.chans.add(index)).as_ref() {
                    Some(chan) if (*self.cases.add(index)).op == gort::SEND => parcel.unsent(chan.format),
                    _ => parcel.unused(),
                }
            }
        }
    }
}

/// `select(*cases, default=False, timeout=None)`.
unsafe extern "C" fn select(
    _module: Object,
    args: *const Object,
    nargs: Py_ssize_t,
    names: Object,
) -> Object {
    const NAMED: Params<2> = Params::new("select", [c"default", c"timeout"], 0).keyword_only_after(0);
    let count = nargs as usize;
    // SAFETY: called by Python, whose arguments stay alive for the whole call, and with them the channels.
    returned(|| unsafe {
        let (mut default, mut deadline) = (false, FOREVER);
        if !names.is_null() {
            let [by_default, timeout] = NAMED.parse(args.add(count), 0, names)?;
            default = !by_default.is_null() && check(PyObject_IsTrue(by_default))? != 0;
            deadline = to_deadline(timeout)?;
            if default && deadline != FOREVER {
                return Err(value_error(
                    "select: with default=True there is nothing to wait for; leave timeout out",
                ));
            }
        }
        if count <= SMALL {
            let mut cases = [const { MaybeUninit::<gort_case_t>::uninit() }; SMALL];
            let mut parcels = [const { MaybeUninit::<Parcel>::uninit() }; SMALL];
            let mut chans = [const { MaybeUninit::<*const Chan>::uninit() }; SMALL];
            let cases =
                Cases::new(cases.as_mut_ptr().cast(), parcels.as_mut_ptr().cast(), chans.as_mut_ptr().cast());
            return choose(cases, args, count, default, deadline);
        }
        let mut room = Room::new(count)?;
        choose(room.cases(), args, count, default, deadline)
    })
}

#[inline(always)]
unsafe fn choose(
    mut cases: Cases,
    args: *const Object,
    count: usize,
    default: bool,
    deadline: i64,
) -> Py<Owned> {
    // SAFETY: `select` has made room, and the arguments are live.
    unsafe {
        for index in 0..count {
            if let Err(raised) = cases.add(*args.add(index)) {
                aside(|| cases.give_back(None));
                return Err(raised);
            }
        }
        let first = cases.as_mut_ptr();
        if default {
            return match gort::gort_try_select(first, count) {
                EAGAIN => {
                    cases.give_back(None);
                    Ok(Owned::borrow(NONE_READY.get()))
                }
                status => end(cases, Ok(status)),
            };
        }
        let mut guests = Vec::new();
        let attempt = || {
            let status = gort::gort_try_select(first, count);
            if status == EAGAIN && deadline != 0 {
                guests.extend(cases.chans().map(Guest::new));
            }
            status
        };
        let status =
            block::may_block(deadline, attempt, |deadline| gort::gort_select_until(first, count, deadline));
        drop(guests);
        end(cases, status)
    }
}

/// What a select returns or raises.
unsafe fn end(mut cases: Cases, status: Py<c_int>) -> Py<Owned> {
    // SAFETY: the status is that of the call that was made with these cases.
    unsafe {
        let raised = match status {
            Ok(index @ 0..) => return cases.carried_out(index as usize),
            Ok(code) => raise_status(code),
            Err(raised) => raised,
        };
        aside(|| cases.give_back(None));
        Err(raised)
    }
}

static FUNCTIONS: Table<PyMethodDef, 1> = table([function(
    c"select",
    select,
    c"select(*cases, default=False, timeout=None)\n--\n\nWait until one of the cases can be carried out, and carry out that \
      one: (index, value, ok). A case is a channel to receive from (value is what was received; closed and drained: \
      None, and ok is False), (channel, value) to send (raises Closed), what on_recv() and on_send() return, or None, \
      which is never ready. Among several that are ready one is chosen with equal odds. With default=True it does not \
      wait: index is -1 if none is ready. Raises TimeoutError when timeout seconds have passed.",
)]);

/// Make the type and the function and put them into the module.
///
/// # Safety
/// `module` is the module.
pub(crate) unsafe fn add_to(module: Object) -> Py<()> {
    let class = Type::new(c"gort.Case", size_of::<Case>())
        .flags(Py_TPFLAGS_HAVE_GC)
        .doc(c"A case for select, made by on_recv() and on_send().")
        .slot(Py_tp_dealloc, case_dealloc as *mut c_void)
        .slot(Py_tp_traverse, case_traverse as *mut c_void)
        .slot(Py_tp_repr, case_repr as *mut c_void)
        .make()?;
    // SAFETY: the caller's promise.
    unsafe {
        NONE_READY.set(tuple([int(-1)?, none(), boolean(false)])?);
        add(module, c"Case", class.as_ptr())?;
        CASE.set(class);
        check(PyModule_AddFunctions(module, FUNCTIONS.as_ptr().cast())).map(drop)
    }
}
