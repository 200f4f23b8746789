// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Drivers as one writes them in C, with the mistake in them, on the raw bindings.
