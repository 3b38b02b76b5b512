// SPDX-License-Identifier: BSD-2-Clause
/* Instructions taken apart: every word is read by next() and nowhere else */
#include <string.h>

#include "tx_code.h"

/*
 * Operands in their order: x, b, y views, p part, w window, n a number,
 * * all that is left
 */
static const char *const operands[TX_OPERATIONS] = {
	[TX_END] = "",
	[TX_LOAD] = "nnnn*",
	[TX_FETCH] = "nyp",
	[TX_EMIT] = "nxp",
	[TX_CONV] = "xypwnnnn",
	[TX_DEPTHWISE] = "xypwnnnn",
	[TX_DENSE] = "xypnnn",
	[TX_MAX_POOL] = "xypw",
	[TX_AVERAGE_POOL] = "xypwnnn",
	[TX_GLOBAL_AVERAGE] = "xypn",
	[TX_ADD] = "xbyp",
	[TX_APPLY] = "xypnnn",
	[TX_MOVE] = "xypn",
	[TX_UPSAMPLE] = "xypn",
	[TX_SCALE] = "xypnn",
	[TX_SOFTMAX] = "xyn",
	[TX_RESHAPE] = "xyn",
	[TX_Q_CONV] = "xypwnnnnnn*",
	[TX_Q_DEPTHWISE] = "xypwnnnnnn*",
	[TX_Q_DENSE] = "xypnnnnn*",
	[TX_Q_AVERAGE_POOL] = "xypwnnnnnn",
	[TX_Q_GLOBAL_AVERAGE] = "xypnnnn",
	[TX_Q_ADD] = "xbypnnnnnn",
	[TX_Q_TABLE] = "xypn",
	[TX_QUANTIZE] = "xypnn",
	[TX_DEQUANTIZE] = "xypnn",
};

struct reader {
	const uint32_t *at;
	uint32_t left;
	bool ended;	/* more was asked for than there is */
};

static uint32_t next(struct reader *reader)
{
	if (!reader->left) {
		reader->ended = true;
		return 0;
	}
	reader->left--;

	return *reader->at++;
}

float tx_float(uint32_t word)
{
	float value = 0.0f;

	memcpy(&value, &word, sizeof(value));
	return value;
}

uint32_t tx_length(const uint32_t *code, uint32_t left)
{
	uint32_t words = 0;

	if (!left || code[0] & 0xff00)
		return 0;
	words = code[0] >> 16;
	if (words > TX_MAX_WORDS || words > left)
		return 0;

	return words;
}

/* Flags that do not exist make the type one that does not exist */
static void read_view(struct reader *reader, struct tx_view *view)
{
	uint32_t flags = 0;

	view->offset = next(reader);
	view->view.first_channel = next(reader);
	view->channels = next(reader);
	view->view.first_row = next(reader);
	view->view.slots = next(reader);
	view->view.width = next(reader);
	flags = next(reader);
	view->view.ring = flags & 16;
	view->type = flags & ~16u;
}

static void read_part(struct reader *reader, struct tl_part *part)
{
	part->channel = next(reader);
	part->channel_end = next(reader);
	part->row = next(reader);
	part->row_end = next(reader);
}

static void read_window(struct reader *reader, struct tl_window *window)
{
	window->kernel_rows = next(reader);
	window->kernel_columns = next(reader);
	window->stride_rows = next(reader);
	window->stride_columns = next(reader);
	window->pad_rows = next(reader);
	window->pad_columns = next(reader);
	window->dilation_rows = next(reader);
	window->dilation_columns = next(reader);
	window->in_rows = next(reader);
}

static void read_tail(struct reader *reader, struct tx_step *step)
{
	step->tail = reader->at;
	step->tail_words = reader->left;
	reader->left = 0;
}

static void read_operand(struct reader *reader, char kind, uint32_t *number,
			 struct tx_step *step)
{
	switch (kind) {
	case 'x':
		read_view(reader, &step->x);
		break;
	case 'b':
		read_view(reader, &step->b);
		break;
	case 'y':
		read_view(reader, &step->y);
		break;
	case 'p':
		read_part(reader, &step->part);
		break;
	case 'w':
		read_window(reader, &step->window);
		break;
	case 'n':
		step->number[(*number)++] = next(reader);
		break;
	default:
		read_tail(reader, step);
		break;
	}
}

bool tx_decode(const uint32_t *code, uint32_t words, struct tx_step *step)
{
	struct reader reader = { .at = code + 1, .left = words - 1 };
	uint32_t operation = code[0] & 0xff;
	const char *kind = NULL;
	uint32_t number = 0;

	memset(step, 0, sizeof(*step));
	if (operation >= TX_OPERATIONS || !operands[operation])
		return false;
	step->operation = operation;
	for (kind = operands[operation]; *kind; kind++)
		read_operand(&reader, *kind, &number, step);

	return !reader.ended && !reader.left;
}
