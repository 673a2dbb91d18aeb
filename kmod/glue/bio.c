// SPDX-License-Identifier: GPL-2.0-or-later
/* Bios on their way through a target. */
#include "glue.h"

unsigned int dm_remap_bio_number(struct bio *bio)
{
	return dm_bio_get_target_bio_nr(bio);
}

/* Answers for the first @sectors alone. The bio is cut at its end: what it begins with stays. */
void dm_remap_bio_accept(struct bio *bio, struct dm_remap_beside *beside, unsigned int sectors)
{
	dm_accept_partial_bio(bio, sectors);
	beside->part.bi_size = bio->bi_iter.bi_size;
}

/*
 * Reads or writes @length bytes of what a bio carried, from @skip bytes on, and waits for it. It
 * must carry so much. Allocates nothing: what a bio of this target carries has neither an encryption
 * context nor integrity data, for the target advertises neither.
 */
int dm_remap_bio_transfer(struct bio *bio, struct dm_remap_beside *beside,
			  struct block_device *bdev, u64 sector, unsigned int skip,
			  unsigned int length, bool durable)
{
	struct bio part;
	int error = bio_init_clone(bdev, &part, bio, GFP_NOIO);

	if (error)
		return error;
	/*
	 * A bio that came back from a partition counts as shifted to its disk already, and a
	 * clone for the same partition inherits that. Its sector is the partition's, though:
	 * unshifted it would go to the beginning of the disk.
	 */
	bio_clear_flag(&part, BIO_REMAPPED);
	part.bi_iter = beside->part;
	bio_advance(&part, skip);
	/*
	 * Whoever polls for the bio does not poll for this; and drivers give up early on what
	 * may fail fast, which says nothing of the medium.
	 */
	part.bi_opf &= ~(REQ_NOWAIT | REQ_RAHEAD | REQ_POLLED | REQ_FAILFAST_MASK);
	if (durable)
		part.bi_opf |= REQ_FUA;
	part.bi_iter.bi_size = length;
	part.bi_iter.bi_sector = sector;
	error = submit_bio_wait(&part);
	bio_uninit(&part);
	return error;
}

/* Ends a bio with an error number, or 0. The end_io callback is called for it. */
void dm_remap_bio_end(struct bio *bio, int error)
{
	bio->bi_status = errno_to_blk_status(error);
	bio_endio(bio);
}

unsigned int dm_remap_op_traits(unsigned int op)
{
	blk_opf_t flags = (__force blk_opf_t)op;

	return (flags & REQ_FUA ? DM_REMAP_IS_DURABLE : 0) |
	       (flags & REQ_RAHEAD ? DM_REMAP_IS_READ_AHEAD : 0) |
	       (flags & REQ_FAILFAST_MASK ? DM_REMAP_FAILS_FAST : 0);
}

int dm_remap_status_errno(unsigned int status)
{
	return blk_status_to_errno((__force blk_status_t)status);
}
