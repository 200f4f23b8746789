//! Mappings, character devices with numbers, and what inodes remember of them.

use super::super::*;
use super::failure;
use crate::bindings::*;
use crate::bindings::{cdev, device};
use crate::error::code;
use crate::ffi;
use std::ptr::{addr_of_mut, null_mut};

/// A misc device whose files map one page.
#[repr(C)]
struct Node {
    misc: miscdevice,
    page: usize,
    faults: usize,
}

// SAFETY: all zeroes is a `file_operations` without operations.
static mut MAPPED: file_operations = file_operations {
    open: Some(opened),
    mmap: Some(mmap),
    // SAFETY: as above.
    ..unsafe { std::mem::zeroed() }
};

static mut AREA: vm_operations_struct = vm_operations_struct {
    open: None,
    close: None,
    fault: Some(fault),
    uffd_ops: std::ptr::null(),
};

unsafe extern "C" fn opened(_inode: *mut inode, _file: *mut file) -> ffi::c_int {
    0
}

unsafe extern "C" fn mmap(file: *mut file, vma: *mut vm_area_struct) -> ffi::c_int {
    // SAFETY: `misc_open` has left the device in `private_data`, which is the first field of the node.
    unsafe {
        (*vma).vm_private_data = (*file).private_data;
        (*vma).vm_ops = &raw const AREA;
        super::super::mm::devscope_vma_set_pfnmap(vma, false, false)
    }
}

unsafe extern "C" fn fault(vmf: *mut vm_fault) -> vm_fault_t {
    // SAFETY: the area is one of the node, which goes after its files.
    unsafe {
        let fault = &(*vmf).__bindgen_anon_1;
        let node = (*fault.vma).vm_private_data.cast::<Node>();
        (*node).faults += 1;
        vmf_insert_pfn(fault.vma, fault.address, (*node).page / PAGE_SIZE)
    }
}

#[derive(Clone, Copy)]
struct Device(*mut Node);

impl Device {
    fn new() -> Self {
        // SAFETY: each is initialised in its own memory.
        unsafe {
            let node = kzalloc(size_of::<Node>(), GFP_KERNEL).cast::<Node>();
            (*node).page = get_free_pages_noprof(GFP_KERNEL | __GFP_ZERO, 0);
            (*node).misc = miscdevice {
                minor: MISC_DYNAMIC_MINOR as ffi::c_int,
                name: c"mapped".as_ptr().cast(),
                fops: &raw const MAPPED,
                ..Default::default()
            };
            assert_eq!(misc_register(addr_of_mut!((*node).misc)), 0);
            Device(node)
        }
    }

    fn faults(self) -> usize {
        // SAFETY: the node is there.
        unsafe { (*self.0).faults }
    }

    fn unmap(self, file: &OpenFile) {
        // SAFETY: the file is open.
        unsafe { unmap_mapping_range((*file.as_raw()).f_mapping, 0, 0, 1) };
    }

    fn remove(self) {
        // SAFETY: registered and allocated by `new`.
        unsafe {
            misc_deregister(addr_of_mut!((*self.0).misc));
            free_pages((*self.0).page, 0);
            kfree(self.0.cast());
        }
    }
}

const SHARED: Protection = Protection {
    write: true,
    private: false,
};

#[test]
fn a_page_comes_by_a_fault_and_goes_with_unmap_mapping_range() {
    explore(200, |m| {
        let device = Device::new();
        let file = m.open("mapped").expect("the node opens");
        let map = file.mmap(0, 1, SHARED).expect("it is mapped");
        assert_eq!(device.faults(), 0);
        assert_eq!(map.write(0, 7), Ok(()));
        assert_eq!(map.read(0), Ok(7));
        assert_eq!(device.faults(), 1);
        device.unmap(&file);
        assert_eq!(map.read(0), Ok(7));
        assert_eq!(device.faults(), 2);
        map.unmap();
        file.close().expect("close() succeeds");
        device.remove();
    });
}

#[test]
fn a_child_has_what_its_parent_has_mapped_until_both_lose_it() {
    explore(1000, |m| {
        let device = Device::new();
        let file = m.open("mapped").expect("the node opens");
        let map = file.mmap(0, 1, SHARED).expect("it is mapped");
        assert_eq!(map.write(0, 7), Ok(()));
        let child = m.spawn("child", move || {
            let child = map.fork();
            (map, child)
        });
        device.unmap(&file);
        let (map, child) = child.join();
        // Whichever was first, nobody has the page now.
        let before = device.faults();
        assert_eq!(child.read(0), Ok(7));
        assert_eq!(map.read(0), Ok(7));
        assert_eq!(device.faults(), before + 2);
        drop((map, child));
        file.close().expect("close() succeeds");
        device.remove();
    });
}

#[test]
fn freeing_a_page_that_is_mapped_is_reported() {
    let failure = failure(|m| {
        let device = Device::new();
        let file = m.open("mapped").expect("the node opens");
        let map = file.mmap(0, 1, SHARED).expect("it is mapped");
        assert_eq!(map.read(0), Ok(0));
        // SAFETY: none. This is the mistake.
        unsafe { free_pages((*device.0).page, 0) };
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
    assert!(
        failure.message.contains("a program has mapped"),
        "{failure}"
    );
}

#[test]
fn a_private_mapping_that_could_be_written_to_has_no_page_frames() {
    explore(10, |m| {
        let device = Device::new();
        let file = m.open("mapped").expect("the node opens");
        let private = Protection {
            write: false,
            private: true,
        };
        assert_eq!(file.mmap(0, 1, private).err(), Some(code::EINVAL));
        file.close().expect("close() succeeds");
        device.remove();
    });
}

// ---- Character devices with numbers ----

static mut NUMBERED: file_operations = file_operations {
    open: Some(opened),
    // SAFETY: all zeroes is a `file_operations` without operations.
    ..unsafe { std::mem::zeroed() }
};

/// A region, a class, and a node "numbered" for the first number.
struct Numbered {
    devt: dev_t,
    class: *mut class,
    node: *mut device,
}

impl Numbered {
    fn new() -> Self {
        let mut devt = 0;
        let name = c"numbered".as_ptr().cast();
        // SAFETY: names are strings; there is room for the number.
        unsafe {
            assert_eq!(alloc_chrdev_region(&mut devt, 0, 2, name), 0);
            let class = class_create(name);
            let node = super::super::cdev::devscope_device_create(class, null_mut(), devt, name);
            Numbered { devt, class, node }
        }
    }

    fn remove(self) {
        // SAFETY: each was registered by `new`.
        unsafe {
            device_unregister(self.node);
            class_destroy(self.class);
            unregister_chrdev_region(self.devt, 2);
        }
    }

    fn cdev(&self) -> *mut cdev {
        // SAFETY: the operations are static.
        unsafe {
            let cdev = cdev_alloc();
            (*cdev).ops = &raw const NUMBERED;
            assert_eq!(cdev_add(cdev, self.devt, 1), 0);
            cdev
        }
    }
}

#[test]
fn an_inode_remembers_its_device_until_its_last_file_is_closed() {
    explore(100, |m| {
        let numbered = Numbered::new();
        let old = numbered.cdev();
        let file = m.open("numbered").expect("the node opens");
        // SAFETY: added by `cdev`.
        unsafe { cdev_del(old) };
        let new = numbered.cdev();
        let which = |file: &OpenFile| {
            // SAFETY: the file is open.
            unsafe { super::super::cdev::devscope_inode_cdev((*file.as_raw()).f_inode) }
        };
        let again = file.reopen(OpenFlags::default()).expect("it opens");
        assert_eq!(which(&again), old);
        again.close().expect("close() succeeds");
        file.close().expect("close() succeeds");
        let file = m.open("numbered").expect("the node opens");
        assert_eq!(which(&file), new);
        file.close().expect("close() succeeds");
        // SAFETY: added by `cdev`.
        unsafe { cdev_del(new) };
        numbered.remove();
    });
}

#[test]
fn a_number_without_a_device_does_not_open() {
    explore(10, |m| {
        let numbered = Numbered::new();
        assert_eq!(m.open("numbered").err(), Some(code::ENXIO));
        numbered.remove();
        assert_eq!(m.open("numbered").err(), Some(code::ENOENT));
    });
}

#[test]
fn freeing_a_cdev_that_an_inode_knows_is_reported() {
    let failure = failure(|m| {
        let numbered = Numbered::new();
        // SAFETY: allocated with the size of its type. Freeing it is the mistake.
        unsafe {
            let cdev = kzalloc(size_of::<cdev>(), GFP_KERNEL).cast::<cdev>();
            cdev_init(cdev, &raw const NUMBERED);
            assert_eq!(cdev_add(cdev, numbered.devt, 1), 0);
            let _file = m.open("numbered").expect("the node opens");
            cdev_del(cdev);
            kfree(cdev.cast());
        }
    });
    assert_eq!(failure.kind, Kind::FreedWhileActive);
    assert!(
        failure.message.contains("which an inode knows"),
        "{failure}"
    );
}

#[test]
fn a_cdev_that_is_put_too_often_is_reported() {
    let failure = failure(|m| {
        let numbered = Numbered::new();
        // SAFETY: allocated with the size of its type. Initialising it while a file has it is the mistake.
        unsafe {
            let cdev = kzalloc(size_of::<cdev>(), GFP_KERNEL).cast::<cdev>();
            cdev_init(cdev, &raw const NUMBERED);
            assert_eq!(cdev_add(cdev, numbered.devt, 1), 0);
            let file = m.open("numbered").expect("the node opens");
            cdev_del(cdev);
            cdev_init(cdev, &raw const NUMBERED);
            assert_eq!(cdev_add(cdev, numbered.devt, 1), 0);
            file.close().expect("the file closes");
            cdev_del(cdev);
        }
    });
    assert_eq!(failure.kind, Kind::Misuse);
    assert!(failure.message.contains("that nobody has"), "{failure}");
}

#[test]
fn a_region_that_goes_before_its_device_is_reported() {
    let failure = failure(|_| {
        let numbered = Numbered::new();
        numbered.cdev();
        // SAFETY: none. This is the mistake.
        unsafe { unregister_chrdev_region(numbered.devt, 2) };
    });
    assert_eq!(failure.kind, Kind::Misuse);
}
