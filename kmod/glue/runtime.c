// SPDX-License-Identifier: GPL-2.0-or-later
/* The module itself, and what the Rust side takes of the kernel beside device-mapper. */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "glue.h"

unsigned int dm_remap_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

void dm_remap_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

s64 dm_remap_uptime(void)
{
	return ktime_get();
}

s64 dm_remap_now(void)
{
	return ktime_get_real();
}

void dm_remap_random(void *bytes, size_t count)
{
	get_random_bytes(bytes, count);
}

void dm_remap_smp_mb(void)
{
	smp_mb();
}

void dm_remap_synchronize_rcu_expedited(void)
{
	synchronize_rcu_expedited();
}

/* Locks of a target, by the order in which they are taken: one of each rank, which lockdep knows. */
static const char *const dm_remap_lock_names[] = { "maintenance", "state", "shown" };
static struct lock_class_key dm_remap_lock_keys[ARRAY_SIZE(dm_remap_lock_names)];

struct mutex *dm_remap_lock_new(unsigned int rank)
{
	struct mutex *lock;

	if (rank >= ARRAY_SIZE(dm_remap_lock_names))
		return NULL;
	lock = kzalloc(sizeof(*lock), GFP_KERNEL);
	if (!lock)
		return NULL;
	mutex_init(lock);
	lockdep_set_class_and_name(lock, &dm_remap_lock_keys[rank], dm_remap_lock_names[rank]);
	return lock;
}

void dm_remap_lock_free(struct mutex *lock)
{
	mutex_destroy(lock);
	kfree(lock);
}

void dm_remap_lock(struct mutex *lock)
{
	mutex_lock(lock);
}

int dm_remap_lock_try(struct mutex *lock)
{
	return mutex_trylock(lock);
}

void dm_remap_unlock(struct mutex *lock)
{
	mutex_unlock(lock);
}

/* The lock of the claims that all targets share; dm/claims.rs has them. */
static DEFINE_MUTEX(dm_remap_claims);

void dm_remap_claims_lock(void)
{
	mutex_lock(&dm_remap_claims);
}

void dm_remap_claims_unlock(void)
{
	mutex_unlock(&dm_remap_claims);
}

/* With the kernel's own crate the rest comes from there. */
#ifndef DM_REMAP_KERNEL_CRATE

/* Bits of how memory is asked for; kernel/alloc.rs has the same. */
enum { DM_REMAP_NOWAIT = 1 << 1, DM_REMAP_NOWARN = 1 << 2, DM_REMAP_IN_PIECES = 1 << 3 };

void *dm_remap_alloc(size_t bytes, unsigned int how)
{
	gfp_t flags = how & DM_REMAP_NOWAIT ? GFP_NOWAIT : GFP_KERNEL;

	if (how & DM_REMAP_NOWARN)
		flags |= __GFP_NOWARN;
	return how & DM_REMAP_IN_PIECES ? kvmalloc(bytes, flags) : kmalloc(bytes, flags);
}

void dm_remap_free(void *memory)
{
	kvfree(memory);
}

void dm_remap_rcu_read_lock(void)
{
	rcu_read_lock();
}

void dm_remap_rcu_read_unlock(void)
{
	rcu_read_unlock();
}

void dm_remap_synchronize_rcu(void)
{
	synchronize_rcu();
}

void dm_remap_log(int level, const char *text, unsigned int length)
{
	printk("%c%c" KBUILD_MODNAME ": %.*s", KERN_SOH_ASCII, '0' + level, (int)length, text);
}

static int __init dm_remap_init(void)
{
	return dm_remap_rs_init();
}

static void __exit dm_remap_exit(void)
{
	dm_remap_rs_exit();
}

module_init(dm_remap_init);
module_exit(dm_remap_exit);
MODULE_AUTHOR("dmremap");
MODULE_DESCRIPTION("device-mapper target that serves bad blocks of a disk from a spare");
MODULE_LICENSE("GPL");
MODULE_ALIAS("dm-dm-remap-v4");

#endif
