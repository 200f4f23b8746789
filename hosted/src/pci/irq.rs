use super::Device;
use crate::{
    bindings,
    device::{self, Bound},
    error::to_result,
    irq::IrqRequest,
    prelude::*,
};
use core::num::NonZero;

/// How a device raises interrupts.
#[derive(Debug, Clone, Copy)]
pub enum IrqType {
    /// By a line that others may share.
    Intx,
    /// By messages.
    Msi,
    /// By messages, of which there can be more.
    MsiX,
}

impl IrqType {
    const fn as_raw(self) -> u32 {
        match self {
            IrqType::Intx => bindings::PCI_IRQ_INTX,
            IrqType::Msi => bindings::PCI_IRQ_MSI,
            IrqType::MsiX => bindings::PCI_IRQ_MSIX,
        }
    }

    const fn from_raw(raw: u32) -> Self {
        match raw {
            bindings::PCI_IRQ_MSIX => IrqType::MsiX,
            bindings::PCI_IRQ_MSI => IrqType::Msi,
            _ => IrqType::Intx,
        }
    }
}

/// Which of them will do.
#[derive(Debug, Clone, Copy, Default)]
pub struct IrqTypes(u32);

impl IrqTypes {
    /// Any.
    pub const fn all() -> Self {
        Self(bindings::PCI_IRQ_ALL_TYPES)
    }

    /// These, and `irq_type`.
    pub const fn with(self, irq_type: IrqType) -> Self {
        Self(self.0 | irq_type.as_raw())
    }

    const fn as_raw(self) -> u32 {
        self.0
    }
}

/// One interrupt vector of a device; becomes an [`IrqRequest`].
pub struct IrqVector<'a> {
    request: IrqRequest<'a>,
    reg: &'a IrqVectorRegistration<'a>,
}

impl<'a> IrqVector<'a> {
    /// The allocation that it is from.
    pub fn vectors(&self) -> &'a IrqVectorRegistration<'a> {
        self.reg
    }

    /// How it is raised.
    pub fn irq_type(&self) -> IrqType {
        self.reg.irq_type()
    }
}

impl<'a> From<IrqVector<'a>> for IrqRequest<'a> {
    fn from(vector: IrqVector<'a>) -> Self {
        vector.request
    }
}

/// Interrupt vectors of a device; dropping them frees them.
///
/// # Invariants
///
/// 1. The device has `len` vectors allocated.
pub struct IrqVectorRegistration<'a> {
    dev: &'a Device<Bound>,
    len: NonZero<usize>,
}

impl<'a> IrqVectorRegistration<'a> {
    /// How many there are: never none.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.len.get()
    }

    /// How they are raised.
    pub fn irq_type(&self) -> IrqType {
        // SAFETY: A valid device.
        IrqType::from_raw(unsafe { bindings::pci_irq_type(self.dev.as_raw()) })
    }

    /// Vector number `index`.
    pub fn index(&self, index: usize) -> Result<IrqVector<'_>> {
        let index = u32::try_from(index)?;
        // SAFETY: A valid device.
        let irq = unsafe { bindings::pci_irq_vector(self.dev.as_raw(), index) };
        if irq < 0 {
            return Err(Error::from_errno(irq));
        }
        Ok(IrqVector {
            // SAFETY: Of this device, as was just asked.
            request: unsafe { IrqRequest::new(self.dev.as_ref(), irq as u32) },
            reg: self,
        })
    }
}

impl Drop for IrqVectorRegistration<'_> {
    fn drop(&mut self) {
        // SAFETY: Allocated: invariant 1.
        unsafe { bindings::pci_free_irq_vectors(self.dev.as_raw()) };
    }
}

impl Device<device::Bound> {
    /// Allocates between `min_vecs` and `max_vecs` vectors, of the best type that is there.
    #[track_caller]
    pub fn alloc_irq_vectors(
        &self,
        min_vecs: u32,
        max_vecs: u32,
        irq_types: IrqTypes,
    ) -> Result<IrqVectorRegistration<'_>> {
        // SAFETY: A valid device; the C side checks the rest.
        let count = unsafe {
            bindings::pci_alloc_irq_vectors(self.as_raw(), min_vecs, max_vecs, irq_types.as_raw())
        };
        to_result(count)?;
        let len = NonZero::new(count as usize).ok_or(EINVAL)?;
        // INVARIANT: 1, just allocated.
        Ok(IrqVectorRegistration { dev: self, len })
    }
}
