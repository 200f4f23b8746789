//! Stopping a thread at a panic, without unwinding and without keeping a lock.
//!
//! The panic hook cannot stop the thread: while it runs, std holds the lock of the hook, and the
//! test harness wants to change the hook at the end. So the hook returns, and the thread stops at
//! the next thing std does: raise the exception, or abort if the panic cannot unwind. Both are
//! functions of C, and the program's own definitions of those come before the libraries'.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};

thread_local! {
    static GIVEN_UP: Cell<bool> = const { Cell::new(false) };
}

type Raise = unsafe extern "C-unwind" fn(exception: *mut c_void) -> c_int;
type Abort = unsafe extern "C" fn() -> !;

extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

/// `RTLD_NEXT`: the definition after this program's.
const NEXT: *mut c_void = usize::MAX as *mut c_void;

/// From now on a panic of this thread stops it.
pub(super) fn at_next_raise() {
    // So that the linker takes the definitions below, whatever it meets first.
    std::hint::black_box((_Unwind_RaiseException as Raise, abort as Abort));
    GIVEN_UP.set(true);
}

/// Stop this thread for ever.
pub(super) fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// Raise an exception: the Itanium C++ ABI's function, which std calls to panic.
///
/// # Safety
///
/// As the library's.
#[no_mangle]
unsafe extern "C-unwind" fn _Unwind_RaiseException(exception: *mut c_void) -> c_int {
    if GIVEN_UP.get() {
        park();
    }
    // SAFETY: the name is a string that ends with 0.
    let next = unsafe { dlsym(NEXT, c"_Unwind_RaiseException".as_ptr()) };
    assert!(!next.is_null(), "devscope bug: no unwinder");
    // SAFETY: that is the type of the function of this name, and the caller's promise is passed on.
    unsafe { std::mem::transmute::<*mut c_void, Raise>(next)(exception) }
}

/// Abort the process, or only this thread's part in it.
///
/// # Safety
///
/// None.
#[no_mangle]
unsafe extern "C" fn abort() -> ! {
    if GIVEN_UP.get() {
        park();
    }
    // SAFETY: the name is a string that ends with 0.
    let next = unsafe { dlsym(NEXT, c"abort".as_ptr()) };
    if next.is_null() {
        std::process::exit(134);
    }
    // SAFETY: that is the type of the function of this name.
    unsafe { std::mem::transmute::<*mut c_void, Abort>(next)() }
}
