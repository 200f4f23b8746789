use super::Device;
use crate::{
    bindings, device,
    io::{IoBase, Mmio, MmioBackend, MmioRaw, Region},
    prelude::*,
};

/// A mapped BAR of at least `SIZE` bytes; dropping it unmaps.
///
/// # Invariants
///
/// 1. BAR `num` of the device is requested, and mapped at `io`.
pub struct Bar<'a, const SIZE: usize = 0> {
    pdev: &'a Device<device::Bound>,
    io: MmioRaw<Region<SIZE>>,
    num: i32,
}

impl<'a, const SIZE: usize> Bar<'a, SIZE> {
    #[track_caller]
    pub(super) fn new(
        pdev: &'a Device<device::Bound>,
        num: u32,
        name: &'static CStr,
    ) -> Result<Self> {
        let len = pdev.resource_len(num)?;
        if len == 0 {
            return Err(ENOMEM);
        }
        let num = i32::try_from(num)?;
        // SAFETY: A valid device, which has this BAR.
        if unsafe { bindings::pci_request_region(pdev.as_raw(), num, name.as_char_ptr()) } != 0 {
            return Err(EBUSY);
        }
        // SAFETY: A valid device, which has this BAR.
        let address = unsafe { bindings::pci_iomap(pdev.as_raw(), num, 0) };
        if address.is_null() {
            // SAFETY: Requested above.
            unsafe { bindings::pci_release_region(pdev.as_raw(), num) };
            return Err(ENOMEM);
        }
        match MmioRaw::new_region(address.addr(), len as usize) {
            // INVARIANT: 1, just done.
            Ok(io) => Ok(Bar { pdev, io, num }),
            Err(error) => {
                // SAFETY: Requested and mapped above.
                unsafe { Self::release(pdev, address.addr(), num) };
                Err(error)
            }
        }
    }

    /// # Safety
    ///
    /// The BAR is requested and mapped there, and used no more.
    unsafe fn release(pdev: &Device, address: usize, num: i32) {
        let address = core::ptr::without_provenance_mut(address);
        // SAFETY: Asked of the caller.
        unsafe {
            bindings::pci_iounmap(pdev.as_raw(), address);
            bindings::pci_release_region(pdev.as_raw(), num);
        }
    }
}

impl Bar<'_> {
    pub(super) fn index_is_valid(index: u32) -> bool {
        index < bindings::PCI_NUM_RESOURCES
    }
}

impl<const SIZE: usize> Drop for Bar<'_, SIZE> {
    fn drop(&mut self) {
        // SAFETY: Invariant 1.
        unsafe { Self::release(self.pdev, self.io.addr(), self.num) };
    }
}

impl<'a, const SIZE: usize> IoBase<'a> for &'a Bar<'_, SIZE> {
    type Backend = MmioBackend;
    type Target = Region<SIZE>;

    fn as_view(self) -> Mmio<'a, Self::Target> {
        // SAFETY: Mapped while borrowed: invariant 1.
        unsafe { Mmio::from_raw(self.io) }
    }
}

impl Device<device::Bound> {
    /// Maps a BAR of at least `SIZE` bytes.
    #[track_caller]
    pub fn iomap_region_sized<'a, const SIZE: usize>(
        &'a self,
        bar: u32,
        name: &'static CStr,
    ) -> Result<Bar<'a, SIZE>> {
        Bar::new(self, bar, name)
    }

    /// Maps a BAR of whatever size.
    #[track_caller]
    pub fn iomap_region<'a>(&'a self, bar: u32, name: &'static CStr) -> Result<Bar<'a>> {
        self.iomap_region_sized::<0>(bar, name)
    }
}
