// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers in the shape of those that had the bug, written with devscope.
