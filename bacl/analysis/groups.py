"""Frequency groups as people see them: names, colours, symbols.

Groups are those of the evaluation: r, c, f for LVIS; 1, 2, 3, 4 for COCO-LT, by rising number of
training instances.
"""

GROUP_NAMES = {'r': 'rare', 'c': 'common', 'f': 'frequent',
               '1': 'below 20', '2': '20 to 399', '3': '400 to 7,999', '4': '8,000 or more'}

# Of Okabe and Ito's palette, which people with any colour vision can tell apart; dark enough for a
# white page and light enough for a black one.
GROUP_COLOURS = {'r': '#D55E00', 'c': '#0072B2', 'f': '#009E73',
                 '1': '#D55E00', '2': '#0072B2', '3': '#009E73', '4': '#CC79A7'}
GROUP_SYMBOLS = {'r': 'diamond', 'c': 'square', 'f': 'circle',
                 '1': 'diamond', '2': 'square', '3': 'circle', '4': 'cross'}
