//! Numbers of ioctls.
//!
//! C header: `include/asm-generic/ioctl.h`; mirrors `rust/kernel/ioctl.rs`.

#![allow(non_snake_case)]

use crate::build_assert::build_assert;

const NR: (u32, u32) = (0, 8);
const TYPE: (u32, u32) = (8, 8);
const SIZE: (u32, u32) = (16, 14);
const DIR: (u32, u32) = (30, 2);

const NONE: u32 = 0;
const WRITE: u32 = 1;
const READ: u32 = 2;

const fn put((shift, bits): (u32, u32), value: u32) -> u32 {
    build_assert!(
        value < 1 << bits,
        "this does not fit into an ioctl's number"
    );
    value << shift
}

const fn take((shift, bits): (u32, u32), nr: u32) -> u32 {
    (nr >> shift) & ((1 << bits) - 1)
}

const fn _IOC(dir: u32, ty: u32, nr: u32, size: usize) -> u32 {
    build_assert!(size <= u32::MAX as usize);
    put(DIR, dir) | put(TYPE, ty) | put(NR, nr) | put(SIZE, size as u32)
}

/// An ioctl without argument.
pub const fn _IO(ty: u32, nr: u32) -> u32 {
    _IOC(NONE, ty, nr, 0)
}

/// An ioctl from which the program reads a `T`.
pub const fn _IOR<T>(ty: u32, nr: u32) -> u32 {
    _IOC(READ, ty, nr, core::mem::size_of::<T>())
}

/// An ioctl for which the program writes a `T`.
pub const fn _IOW<T>(ty: u32, nr: u32) -> u32 {
    _IOC(WRITE, ty, nr, core::mem::size_of::<T>())
}

/// An ioctl that changes a `T` of the program.
pub const fn _IOWR<T>(ty: u32, nr: u32) -> u32 {
    _IOC(READ | WRITE, ty, nr, core::mem::size_of::<T>())
}

/// The direction of an ioctl.
pub const fn _IOC_DIR(nr: u32) -> u32 {
    take(DIR, nr)
}

/// The type of an ioctl: whose it is.
pub const fn _IOC_TYPE(nr: u32) -> u32 {
    take(TYPE, nr)
}

/// Which of its type's ioctls it is.
pub const fn _IOC_NR(nr: u32) -> u32 {
    take(NR, nr)
}

/// The size of an ioctl's argument.
pub const fn _IOC_SIZE(nr: u32) -> usize {
    take(SIZE, nr) as usize
}
