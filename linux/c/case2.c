// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Case 2 in C: the open file that outlives its device.
 *
 * One structure, devm_kzalloc()ed in probe(), serves the device and its open files. A program keeps
 * the node open while the device is unbound: devres frees the structure, and when the program closes
 * the node at last, release() runs on freed memory.
 *
 * The cure by hand is to count: what a file touches is an allocation of its own, held by the device
 * and by each open file. case2_cured.c builds this file with it.
 */

#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct case2 {
	struct miscdevice misc;
	struct mutex lock;
	unsigned int opened;
	bool bound;
	/* Of the cure: one for the device while it is bound, one for each open file. */
	struct kref count;
};

#ifdef CURED

static struct case2 *case2_alloc(struct device *dev)
{
	struct case2 *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (c)
		kref_init(&c->count);
	return c;
}

static void case2_free(struct kref *count)
{
	kfree(container_of(count, struct case2, count));
}

static void case2_get(struct case2 *c)
{
	kref_get(&c->count);
}

static void case2_put(struct case2 *c)
{
	kref_put(&c->count, case2_free);
}

#else

/* Nobody counts: devres frees it. */
static struct case2 *case2_alloc(struct device *dev)
{
	return devm_kzalloc(dev, sizeof(struct case2), GFP_KERNEL);
}

static void case2_get(struct case2 *c) { }
static void case2_put(struct case2 *c) { }

#endif

static int case2_open(struct inode *inode, struct file *file)
{
	struct case2 *c = container_of(file->private_data, struct case2, misc);

	mutex_lock(&c->lock);
	c->opened++;
	mutex_unlock(&c->lock);
	case2_get(c);
	file->private_data = c;
	return 0;
}

static ssize_t case2_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	struct case2 *c = file->private_data;
	ssize_t ret = -ENODEV;
	u8 opened;

	if (!len)
		return 0;
	mutex_lock(&c->lock);
	opened = c->opened;
	if (c->bound)
		ret = copy_to_user(to, &opened, sizeof(opened)) ? -EFAULT : sizeof(opened);
	mutex_unlock(&c->lock);
	return ret;
}

static int case2_release(struct inode *inode, struct file *file)
{
	struct case2 *c = file->private_data;

	mutex_lock(&c->lock);
	c->opened--;
	mutex_unlock(&c->lock);
	case2_put(c);
	return 0;
}

static const struct file_operations case2_fops = {
	.owner = THIS_MODULE,
	.open = case2_open,
	.read = case2_read,
	.release = case2_release,
};

static int case2_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct case2 *c = case2_alloc(&pdev->dev);
	int err;

	if (!c)
		return -ENOMEM;
	mutex_init(&c->lock);
	c->bound = true;
	c->misc.minor = MISC_DYNAMIC_MINOR;
	c->misc.name = "case2";
	c->misc.fops = &case2_fops;
	pci_set_drvdata(pdev, c);
	err = misc_register(&c->misc);
	if (err)
		case2_put(c);
	return err;
}

static void case2_remove(struct pci_dev *pdev)
{
	struct case2 *c = pci_get_drvdata(pdev);

	misc_deregister(&c->misc);
	mutex_lock(&c->lock);
	c->bound = false;
	mutex_unlock(&c->lock);
	case2_put(c);
}

static const struct pci_device_id case2_ids[] = {
	{ PCI_DEVICE_CLASS(0x00ff00, 0xffff00) },
	{ }
};
MODULE_DEVICE_TABLE(pci, case2_ids);

static struct pci_driver case2_driver = {
	.name = "case2",
	.id_table = case2_ids,
	.probe = case2_probe,
	.remove = case2_remove,
};
module_pci_driver(case2_driver);

MODULE_AUTHOR("The devscope authors");
MODULE_DESCRIPTION("A file that outlives its device");
MODULE_LICENSE("GPL");
