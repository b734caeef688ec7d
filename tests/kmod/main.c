// SPDX-License-Identifier: GPL-2.0
/*
 * longterm_pintest.ko - pins and unpins in every way there is, on behalf of a
 * test, and says what the folios of a DAX file count then.  For guests only: it
 * lets its user break the kernel.
 *
 * A pin is called by its handle, within the open file that made it, and ends
 * with that file at the latest.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "pins.h"

static long pin(struct pintest *p, void __user *user)
{
	struct pintest_pin arg;
	struct pins *pins;
	int ret;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	pins = pintest_do_pin(p, &arg);
	if (IS_ERR(pins))
		return PTR_ERR(pins);
	ret = xa_alloc(&p->handles, &arg.handle, pins, xa_limit_31b, GFP_KERNEL);
	if (ret) {
		pintest_unpin_all(pins);
		return ret;
	}
	arg.pinned = pins->nr;
	/* The caller has a test to write if this fails. */
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static long unpin(struct pintest *p, void __user *user)
{
	struct pintest_unpin arg;
	struct pins *pins;
	int ret;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	pins = xa_load(&p->handles, arg.handle);
	if (!pins)
		return -ENOENT;
	ret = pintest_do_unpin(pins, &arg);
	if (ret)
		return ret;
	if (!pins->left && (!pins->tagged || !arg.nr)) {
		xa_erase(&p->handles, arg.handle);
		pintest_unpin_all(pins);
	}
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static long look(void __user *user)
{
	struct pintest_look arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return pintest_do_look(&arg);
}

static long preset(void __user *user)
{
	struct pintest_preset arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return pintest_do_preset(&arg);
}

static long break_layout(void __user *user)
{
	struct pintest_break arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return pintest_do_break(&arg);
}

static long pintest_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pintest *p = file->private_data;
	void __user *user = (void __user *)arg;
	long ret;

	switch (cmd) {
	case PINTEST_IOC_LOOK:
		return look(user);
	case PINTEST_IOC_PRESET:
		return preset(user);
	case PINTEST_IOC_BREAK:
		return break_layout(user);
	case PINTEST_IOC_RACE:
		pintest_race();
		return 0;
	}
	if (mutex_lock_interruptible(&p->lock))
		return -EINTR;
	switch (cmd) {
	case PINTEST_IOC_PIN:
		ret = pin(p, user);
		break;
	case PINTEST_IOC_UNPIN:
		ret = unpin(p, user);
		break;
	default:
		ret = -ENOTTY;
	}
	mutex_unlock(&p->lock);
	return ret;
}

static int pintest_open(struct inode *inode, struct file *file)
{
	struct pintest *p = kzalloc_obj(*p);

	if (!p)
		return -ENOMEM;
	mutex_init(&p->lock);
	xa_init_flags(&p->handles, XA_FLAGS_ALLOC1);
	file->private_data = p;
	return 0;
}

static int pintest_release(struct inode *inode, struct file *file)
{
	struct pintest *p = file->private_data;
	struct pins *pins;
	unsigned long handle;

	xa_for_each(&p->handles, handle, pins)
		pintest_unpin_all(pins);
	xa_destroy(&p->handles);
	kfree(p);
	return 0;
}

static const struct file_operations pintest_fops = {
	.owner		= THIS_MODULE,
	.open		= pintest_open,
	.release	= pintest_release,
	.unlocked_ioctl	= pintest_ioctl,
};

static struct miscdevice pintest_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "longterm_pintest",
	.fops	= &pintest_fops,
	.mode	= 0600,
};
module_misc_device(pintest_device);

MODULE_DESCRIPTION("Pins and unpins for the tests of long-term leases");
MODULE_LICENSE("GPL");
