#ifndef QUIPU_LOGARITHM_H
#define QUIPU_LOGARITHM_H

/// The series of the reference's logarithm, to base 2, from the last term to the first: see `AttentionSummary`.
enum { LOGARITHM_TERMS = 10 };
static const double logarithm_terms[LOGARITHM_TERMS] = {
    0x1.3703c1f4d0ffep-3, 0x1.5b9ac9b743f0dp-3, 0x1.89f3b1694cffep-3, 0x1.c68f568d31760p-3, 0x1.0c9a84994022dp-2,
    0x1.484b13d7c02a9p-2, 0x1.a61762a7aded9p-2, 0x1.2776c50ef9bfep-1, 0x1.ec709dc3a03fdp-1, 0x1.71547652b82fep+1,
};

#endif
