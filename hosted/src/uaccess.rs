//! Memory of user programs.
//!
//! C header: `include/linux/uaccess.h`; mirrors `rust/kernel/uaccess.rs`. Left out:
//! `UserSliceWriter::write_dma`.

use crate::{
    alloc::{Allocator, Flags},
    bindings,
    fs::file,
    prelude::*,
    transmute::{AsBytes, FromBytes},
};
use core::mem::{size_of, MaybeUninit};

/// An address in a program's memory. Good for nothing but the functions here.
#[repr(transparent)]
#[derive(Copy, Clone)]
pub struct UserPtr(*mut c_void);

// SAFETY: A pointer, which may be null.
unsafe impl Zeroable for UserPtr {}

impl UserPtr {
    /// From a number, such as an ioctl's argument.
    pub fn from_addr(addr: usize) -> Self {
        Self(core::ptr::with_exposed_provenance_mut(addr))
    }

    /// From a pointer.
    pub fn from_ptr(addr: *mut c_void) -> Self {
        Self(addr)
    }

    /// For C functions.
    pub fn as_const_ptr(self) -> *const c_void {
        self.0
    }

    /// For C functions.
    pub fn as_mut_ptr(self) -> *mut c_void {
        self.0
    }

    /// Further on.
    pub fn wrapping_byte_add(self, add: usize) -> UserPtr {
        UserPtr(self.0.wrapping_byte_add(add))
    }
}

/// A piece of a program's memory, which may be there or not.
///
/// It can be read once and written once: the program may change it in between, and code that reads
/// it twice would see two truths.
pub struct UserSlice {
    ptr: UserPtr,
    length: usize,
}

impl UserSlice {
    /// `length` bytes at `ptr`. Nothing is checked yet.
    pub fn new(ptr: UserPtr, length: usize) -> Self {
        UserSlice { ptr, length }
    }

    /// Appends all of it to a vector.
    #[track_caller]
    pub fn read_all<A: Allocator>(self, buf: &mut Vec<u8, A>, flags: Flags) -> Result {
        self.reader().read_all(buf, flags)
    }

    /// Reads it.
    pub fn reader(self) -> UserSliceReader {
        let UserSlice { ptr, length } = self;
        UserSliceReader { ptr, length }
    }

    /// Writes it.
    pub fn writer(self) -> UserSliceWriter {
        let UserSlice { ptr, length } = self;
        UserSliceWriter { ptr, length }
    }

    /// Reads and writes it.
    pub fn reader_writer(self) -> (UserSliceReader, UserSliceWriter) {
        let UserSlice { ptr, length } = self;
        (
            UserSliceReader { ptr, length },
            UserSliceWriter { ptr, length },
        )
    }
}

/// Reads a [`UserSlice`] from front to back.
pub struct UserSliceReader {
    ptr: UserPtr,
    length: usize,
}

impl UserSliceReader {
    /// Skips bytes.
    pub fn skip(&mut self, num_skip: usize) -> Result {
        self.length = self.length.checked_sub(num_skip).ok_or(EFAULT)?;
        self.ptr = self.ptr.wrapping_byte_add(num_skip);
        Ok(())
    }

    /// Another one, at the same place.
    pub fn clone_reader(&self) -> UserSliceReader {
        UserSliceReader {
            ptr: self.ptr,
            length: self.length,
        }
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Reads into uninitialised memory; all of it is initialised if this succeeds.
    pub fn read_raw(&mut self, out: &mut [MaybeUninit<u8>]) -> Result {
        let len = out.len();
        if len > self.length {
            return Err(EFAULT);
        }
        let start = out.as_mut_ptr().cast::<c_void>();
        // SAFETY: Room for `len` bytes.
        if unsafe { bindings::copy_from_user(start, self.ptr.as_const_ptr(), len) } != 0 {
            return Err(EFAULT);
        }
        self.skip(len)
    }

    /// Reads exactly `out.len()` bytes.
    pub fn read_slice(&mut self, out: &mut [u8]) -> Result {
        let out: *mut [u8] = out;
        // SAFETY: What is written there is initialised, so this is still a slice of bytes.
        self.read_raw(unsafe { &mut *(out as *mut [MaybeUninit<u8>]) })
    }

    /// Reads to `offset` in `out`, as much as there is or fits.
    pub fn read_slice_partial(&mut self, out: &mut [u8], offset: usize) -> Result<usize> {
        let end = offset.saturating_add(self.len()).min(out.len());
        let Some(part) = out.get_mut(offset..end) else {
            return Ok(0);
        };
        self.read_slice(part)?;
        Ok(part.len())
    }

    /// [`read_slice_partial`](Self::read_slice_partial), and moves the offset on.
    pub fn read_slice_file(&mut self, out: &mut [u8], offset: &mut file::Offset) -> Result<usize> {
        if offset.is_negative() {
            return Err(EINVAL);
        }
        let Ok(start) = usize::try_from(*offset) else {
            return Ok(0);
        };
        let read = self.read_slice_partial(out, start)?;
        *offset += read as i64;
        Ok(read)
    }

    /// Reads a value.
    pub fn read<T: FromBytes>(&mut self) -> Result<T> {
        let mut out = MaybeUninit::<T>::uninit();
        let bytes = out.as_mut_ptr().cast::<MaybeUninit<u8>>();
        // SAFETY: The bytes of `out`.
        self.read_raw(unsafe { core::slice::from_raw_parts_mut(bytes, size_of::<T>()) })?;
        // SAFETY: All bytes were read, and any are a value.
        Ok(unsafe { out.assume_init() })
    }

    /// Appends all of it to a vector.
    #[track_caller]
    pub fn read_all<A: Allocator>(mut self, buf: &mut Vec<u8, A>, flags: Flags) -> Result {
        let len = self.length;
        buf.reserve(len, flags)?;
        self.read_raw(&mut buf.spare_capacity_mut()[..len])?;
        // SAFETY: That many were read.
        unsafe { buf.inc_len(len) };
        Ok(())
    }

    /// Reads a C string, cut off if the buffer is too small.
    pub fn strcpy_into_buf(self, buf: &mut [u8]) -> Result<&CStr> {
        if buf.is_empty() {
            return Err(EINVAL);
        }
        let readable = buf.len().min(self.length);
        let start = buf.as_mut_ptr().cast::<c_char>();
        // SAFETY: Room for that many bytes.
        let copied = unsafe {
            bindings::strncpy_from_user(start, self.ptr.as_const_ptr().cast(), readable as isize)
        };
        if copied < 0 {
            return Err(Error::from_errno(copied as i32));
        }
        let copied = copied as usize;
        if copied == readable {
            if readable < buf.len() {
                // The slice ended before the string did.
                return Err(EFAULT);
            }
            buf[copied - 1] = 0;
            return CStr::from_bytes_with_nul(buf).map_err(|_| EFAULT);
        }
        CStr::from_bytes_with_nul(&buf[..=copied]).map_err(|_| EFAULT)
    }
}

/// Writes a [`UserSlice`] from front to back.
pub struct UserSliceWriter {
    ptr: UserPtr,
    length: usize,
}

impl UserSliceWriter {
    /// How much room is left.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes exactly these bytes.
    pub fn write_slice(&mut self, data: &[u8]) -> Result {
        let len = data.len();
        if len > self.length {
            return Err(EFAULT);
        }
        let start = data.as_ptr().cast();
        // SAFETY: That many bytes.
        if unsafe { bindings::copy_to_user(self.ptr.as_mut_ptr(), start, len) } != 0 {
            return Err(EFAULT);
        }
        self.ptr = self.ptr.wrapping_byte_add(len);
        self.length -= len;
        Ok(())
    }

    /// Writes what is behind `offset` in `data`, as much as there is or fits.
    pub fn write_slice_partial(&mut self, data: &[u8], offset: usize) -> Result<usize> {
        let end = offset.saturating_add(self.len()).min(data.len());
        let Some(part) = data.get(offset..end) else {
            return Ok(0);
        };
        self.write_slice(part)?;
        Ok(part.len())
    }

    /// [`write_slice_partial`](Self::write_slice_partial), and moves the offset on.
    pub fn write_slice_file(&mut self, data: &[u8], offset: &mut file::Offset) -> Result<usize> {
        if offset.is_negative() {
            return Err(EINVAL);
        }
        let Ok(start) = usize::try_from(*offset) else {
            return Ok(0);
        };
        let written = self.write_slice_partial(data, start)?;
        *offset += written as i64;
        Ok(written)
    }

    /// Writes a value.
    pub fn write<T: AsBytes>(&mut self, value: &T) -> Result {
        self.write_slice(value.as_bytes())
    }
}
